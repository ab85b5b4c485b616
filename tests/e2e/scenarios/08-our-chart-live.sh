# shellcheck shell=bash
# Our chart with the real server behind it. Its pods are played, so the program runs here, with
# the arguments of the chart's Deployment, the credentials of the chart's ServiceAccount and the
# address of the chart's Service: what the chart grants is all it has.
#
# Proven: the API server calls it by what the chart rendered; the rights suffice (not one request
# is refused) and are minimal (each one granted is used, and the list is exactly the one below);
# upgrade, rollback and a changed policy by Helm; the pre-made Secret with the command of
# NOTES.txt; uninstalling leaves nothing.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

if [ -n "${E2E_KUBECONFIG:-}" ]; then
    skip 'our chart, live' 'the API server of another cluster cannot reach a process behind its Service'
    exit 0
fi

ours=$E2E_REPO/deploy/chart
release=nvcf-registry-webhook
configurations=mutatingwebhookconfiguration,validatingwebhookconfiguration
account=system:serviceaccount:$hook_namespace:$release

ours_wiped() {
    hook_stop
    helm -n "$hook_namespace" uninstall "$release" >/dev/null 2>&1 || true
    kubectl delete "$configurations,clusterrole,clusterrolebinding" "$release" --ignore-not-found >/dev/null
    kubectl -n nvcf delete role,rolebinding "$release" --ignore-not-found >/dev/null
    kubectl -n "$hook_namespace" delete role,rolebinding,serviceaccount "$release" --ignore-not-found >/dev/null
    kubectl -n "$hook_namespace" delete deployment,service,secret,lease --all --wait=false >/dev/null
    kubectl -n "$hook_namespace" delete configmap nvcf-registry-policy --ignore-not-found >/dev/null
}

helm_ours() { # install|upgrade [flags…]
    local verb=$1
    shift
    helm "$verb" "$release" "$ours" -n "$hook_namespace" --set "service.port=$E2E_HOOK_PORT" "$@"
}
ghcr=(--set policy.registries.GHCR.name='GitHub Container Registry' --set policy.registries.GHCR.hostname=ghcr.io)
quay=(--set policy.registries.QUAY.name=Quay --set policy.registries.QUAY.hostname=quay.io)

# The account's own kubeconfig, with its token and nothing else.
account_kubeconfig() {
    local token
    token=$(kubectl -n "$hook_namespace" create token "$release" --duration 2h)
    kubectl config view --raw --minify --flatten -o json | jq --arg t "$token" --arg n "$hook_namespace" \
        '.users = [{name: "webhook", user: {token: $t}}] | .contexts[0].context |= (.user = "webhook" | .namespace = $n)' >"$1"
    chmod 600 "$1"
}

# ours_start [serve flags…]: the program as the chart's Deployment would start it
ours_start() {
    local -a args
    mapfile -t args < <(kubectl -n "$hook_namespace" get deployment "$release" -o json |
        jq -r '.spec.template.spec.containers[0].args[]' |
        sed "s#^--tls-\(cert\|key\)=/tls/#--tls-\1=$E2E_TMP/tls/#" |
        grep -v -e '^--listen=' -e '^--metrics-listen=' -e '^--drain-seconds=')
    E2E_HOOK_IP=$(kubectl -n "$hook_namespace" get service "$release" -o jsonpath='{.spec.clusterIP}')
    account_kubeconfig "$E2E_TMP/webhook.kubeconfig"
    spawn webhook env POD_NAME=webhook-0 "$E2E_WEBHOOK_BIN" "${args[@]}" \
        --listen "$E2E_HOOK_IP:$E2E_HOOK_PORT" --metrics-listen "127.0.0.1:$E2E_HOOK_METRICS" \
        --kubeconfig "$E2E_TMP/webhook.kubeconfig" --drain-seconds 0 "$@"
    wait_for 20 'the webhook' hook_ready
}

# mounted SECRET: its files where the program looks for them, as the kubelet would put them there
mounted() {
    local key
    mkdir -p "$E2E_TMP/tls"
    for key in tls.crt tls.key; do
        kubectl -n "$hook_namespace" get secret "$1" -o json | jq -r --arg k "$key" '.data[$k]' |
            base64 -d >"$E2E_TMP/tls/$key.new"
        mv -f "$E2E_TMP/tls/$key.new" "$E2E_TMP/tls/$key"
    done
}

bundles() { # the CAs of all webhooks, each once
    kubectl get "$configurations" "$release" -o json |
        jq -r '[.items[].webhooks[].clientConfig.caBundle // "none"] | unique | join(",")'
}
policy_lists() { grep -q "$1" <<<"$(kubectl -n "$hook_namespace" get configmap nvcf-registry-policy -o yaml)"; }
in_force() { # COMMAND…: changes the policy; waits until it is what the server serves
    local before
    before=$(policy_hash)
    run "$@"
    [ "$RC" -eq 0 ] && wait_for 10 'the new policy' policy_hash_is_not "$before"
}

# What the account may do in a namespace, one "resource [names] verbs" a line, without what
# every account may do.
rights() {
    kubectl --kubeconfig "$E2E_TMP/webhook.kubeconfig" create --validate=false -o json -f - <<END |
{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "$1"}}
END
        jq -r '.status.resourceRules[] | select(.apiGroups != ["authorization.k8s.io"] and
            .apiGroups != ["authentication.k8s.io"]) | "\(.resources | join(",")) \(.resourceNames // []
            | join(",")) \(.verbs | join(","))"' | sed 's/  */ /' | sort
}
# What it has asked for since the mark, by the API server's audit log: "namespace resource name
# verb" a line; names count where the chart's rules give names.
asked() {
    tail -n "+$((mark + 1))" "$E2E_TMP/log/audit.jsonl" | jq -r 'select(.user.username == "'"$account"'" and
        .objectRef.apiGroup != "authorization.k8s.io") | .objectRef |= (if .namespace == "nvcf" then
        .name = null else . end) | "\(.objectRef.namespace // "-") \(.objectRef.resource) \(
        if .verb == "create" then "-" else .objectRef.name // "-" end) \(.verb)"' | sort -u
}
forbidden() {
    tail -n "+$((mark + 1))" "$E2E_TMP/log/audit.jsonl" |
        jq -r 'select(.responseStatus.code == 403 or .responseStatus.code == 401) | .requestURI'
}
# What the chart grants, in the same form.
granted() {
    kubectl get role,clusterrole -A -l "app.kubernetes.io/instance=$release" -o json |
        jq -r '.items[] | (.metadata.namespace // "-") as $ns | .rules[] | .resources[] as $r |
            (.resourceNames // ["-"])[] as $n | .verbs[] as $v | "\($ns) \($r) \($n) \($v)"' | sort -u
}
nothing_of_ours() {
    kubectl get "$configurations,clusterroles,clusterrolebindings" -o name | grep -F "$release" | grep -v e2e
    kubectl get deployments,replicasets,services,endpointslices,leases,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies \
        -A -o name -l "app.kubernetes.io/instance=$release"
    kubectl -n "$hook_namespace" get secrets,leases,configmaps -o name | grep -v kube-root-ca.crt
    true
}
gone() { [ -z "$(nothing_of_ours)" ]; }

hook_unconfig
ours_wiped

touch "$E2E_TMP/log/audit.jsonl"
mark=$(wc -l <"$E2E_TMP/log/audit.jsonl")

# ---- installed, self-managed certificates, everything turned on
check 'the chart installs' helm_ours install "${ghcr[@]}" --set reconcile=true
check 'the server starts as its Deployment says and is ready' ours_start
wait_for 10 'a CA' bash -c "kubectl get mutatingwebhookconfiguration $release -o json | grep -q caBundle" || true
bundle=$(bundles)
check 'one CA is published in all webhooks of both configurations' \
    bash -c "[[ '$bundle' != *none* && '$bundle' != *,* ]]"
check 'the API server calls it' wait_for 10 'the API server to call the webhook' hook_called
check 'a Deployment is injected' api_install
check '  as the policy in the values says' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
mapfile -t docker < <(key_flags DOCKER mirror.corp.example Mirror)
expect_refused 'a takeover is refused' api_upgrade "${docker[@]}"
expect_text '  by a name that says who' 'nvcf-registry-webhook.dev" denied the request'

# ---- a changed policy
check 'a policy by helm upgrade is in force' in_force helm_ours upgrade --reuse-values "${quay[@]}"
check '  and reconciled without an upgrade of the API' wait_for 20 'QUAY in the Deployment' env_is "${registry}_QUAY_HOSTNAME" quay.io
check '  the API rolls out' rolled_out
same '  the CA is kept' "$bundle" "$(bundles)"
expect_refused 'a bad policy is refused at helm upgrade' helm_ours upgrade --reuse-values \
    --set policy.registries.BAD.name='Docker Hub Registry' --set policy.registries.BAD.hostname=bad.corp.example
expect_text '  saying why' 'Docker Hub Registry'
check 'the next upgrade repairs the release' helm_ours upgrade --reuse-values --set policy.registries.BAD=null \
    --set logLevel=debug
same '  the CA is kept' "$bundle" "$(bundles)"
check 'a rollback takes the policy back' in_force helm -n "$hook_namespace" rollback "$release" 1
check '  to what it was' bash -c "! kubectl -n $hook_namespace get configmap nvcf-registry-policy -o yaml | grep -q QUAY"
same '  the CA is kept' "$bundle" "$(bundles)"
check '  QUAY is taken out' wait_for 20 'no QUAY' env_absent "${registry}_QUAY_HOSTNAME"

# ---- what it may do
# A denial that rests on a ConfigMap is confirmed by a live read, which needs a right too. (The ConfigMap
# gets in while the configurations are away.)
kubectl delete "$configurations" "$release" >/dev/null
kubectl -n nvcf create configmap bad-env --from-literal="${registry}_DOCKER_HOSTNAME=mirror.corp.example" >/dev/null
check 'deleted configurations come back by helm upgrade' helm_ours upgrade --reuse-values --set logLevel=info
check '  and get their CA back' wait_for 10 'the CA' bash -c "[ \"\$(kubectl get $configurations $release -o json |
    jq -r '[.items[].webhooks[].clientConfig.caBundle // \"none\"] | unique | join(\",\")')\" = '$bundle' ]"
check '  and are called' wait_for 10 'the API server to call the webhook' hook_called
sleep 0.5
run kubectl -n nvcf patch deployment "$deployment" --type json -p '[{"op": "add",
    "path": "/spec/template/spec/containers/0/envFrom", "value": [{"configMapRef": {"name": "bad-env"}}]}]'
same 'a takeover through a ConfigMap is refused' 1 "$RC"
kubectl -n nvcf delete configmap bad-env >/dev/null

same 'no request to the API server was forbidden' '' "$(forbidden)"
same 'no right is granted that is not used' '' "$(comm -13 <(asked) <(granted))"
same 'and nothing else is asked for' '' "$(comm -23 <(asked) <(granted))"
same 'rights in the own namespace' "$(sort <<END
configmaps nvcf-registry-policy list,watch
events create
leases nvcf-registry-webhook get,update
mutatingwebhookconfigurations,validatingwebhookconfigurations $release get,list,watch,patch
secrets $release-tls get,list,watch,patch
END
)" "$(rights "$hook_namespace")"
same "rights in the targets' namespace" "$(sort <<END
configmaps get,list,watch
deployments list,patch
events create
mutatingwebhookconfigurations,validatingwebhookconfigurations $release get,list,watch,patch
END
)" "$(rights nvcf)"
same 'rights in any other namespace' \
    "mutatingwebhookconfigurations,validatingwebhookconfigurations $release get,list,watch,patch" "$(rights default)"
for what in 'get secrets -n nvcf' 'list secrets -n kube-system' "create secrets -n $hook_namespace" \
    'create pods -n nvcf' 'update configmaps -n nvcf' 'list namespaces' 'delete deployments -n nvcf' \
    "update configmaps/nvcf-registry-policy -n $hook_namespace" 'patch mutatingwebhookconfigurations/other'; do
    # shellcheck disable=SC2086 # words
    run kubectl auth can-i $what --as "$account"
    same "it may not $what" no "${OUT##*$'\n'}"
done

# ---- what docs/OPERATIONS.md says about the Secret; the webhook issues at most once a minute
if [ "$E2E_HELM" = 3 ]; then
    kubectl -n "$hook_namespace" delete secret "$release-tls" >/dev/null
    check 'deleted, what is served stays' hook_called
    check '  helm upgrade makes the Secret again' helm_ours upgrade --reuse-values
    filled() { kubectl -n "$hook_namespace" get secret "$release-tls" -o json | jq -e '.data | has("tls.key")' >/dev/null; }
    check '  and it is filled' wait_for 70 'keys' filled
else
    kubectl -n "$hook_namespace" patch secret "$release-tls" --type json -p '[{"op": "remove", "path": "/data"}]' >/dev/null
    other_bundle() { [[ $(bundles) != "$bundle" && $(bundles) != *none* && $(bundles) != *,* ]]; }
    check 'emptied, the Secret gets a new CA, which is published' wait_for 70 'another CA' other_bundle
fi
check '  and the API server calls' wait_for 10 'the API server to call the webhook' hook_called
bundle=$(bundles)
run kubectl get events -A --field-selector reportingComponent=nvcf-registry-webhook
expect_text 'Events tell' Injected Accepted

# ---- without reconcile and with the server dead
check 'turned off, reconcile takes its rights with it' helm_ours upgrade --reuse-values --set reconcile=false
run granted
expect_no_text '  no Deployments' deployments
expect_no_text '  no Leases' leases
hook_stop
check 'our chart can be upgraded with the server dead' helm_ours upgrade --reuse-values "${quay[@]}" --set replicaCount=3
check 'uninstall with the server dead' helm -n "$hook_namespace" uninstall "$release" --wait --timeout 60s
check '  leaves nothing, no key either' wait_for 20 'nothing of ours' gone
gone || fail '  what is left' "$(nothing_of_ours)"
check '  and the API can be changed' api_upgrade "${docker[@]}"
check '  and back' api_reset

# ---- a Secret made elsewhere
names="DNS:$release.$hook_namespace.svc"
make_cert hook-ca premade "/CN=$release" "$names"
kubectl -n "$hook_namespace" create secret generic premade --type kubernetes.io/tls \
    --from-file=tls.crt="$E2E_TMP/pki/premade.crt" --from-file=tls.key="$E2E_TMP/pki/premade.key" \
    --from-file=ca.crt="$E2E_TMP/pki/hook-ca.crt" >/dev/null
mounted premade
check 'with a Secret made elsewhere' helm_ours install "${ghcr[@]}" --set certificates.mode=secret \
    --set certificates.secretName=premade
mark=$(wc -l <"$E2E_TMP/log/audit.jsonl")
check '  the server is ready' ours_start
same '  nobody has published its CA' none "$(bundles)"
# The command that NOTES.txt prints, as it stands there.
helm -n "$hook_namespace" get notes "$release" | sed -n '/^  ca=/,/^  done/p' >"$E2E_TMP/publish.sh"
check '  the command of the notes publishes it' bash "$E2E_TMP/publish.sh"
same '  in all webhooks' "$(base64_line "$E2E_TMP/pki/hook-ca.crt")" "$(bundles)"
check '  and the API server calls' wait_for 10 'the API server to call the webhook' hook_called
check '  an upgrade' helm_ours upgrade --reuse-values --set replicaCount=3
same '  keeps the CA' "$(base64_line "$E2E_TMP/pki/hook-ca.crt")" "$(bundles)"
same '  no request was forbidden' '' "$(forbidden)"
run kubectl get clusterroles -o name -l "app.kubernetes.io/instance=$release"
same '  and no right is cluster-wide' '' "$OUT"
check 'uninstall with the server alive' helm -n "$hook_namespace" uninstall "$release" --wait --timeout 60s
ours_wiped

# ---- cert-manager's layout. It is not here itself: what it would do by what the chart asks of it,
# this file does, with a Secret and a caBundle as cert-manager writes them.
[ "$E2E_HELM" = 4 ] || exit 0
crd() { # KIND PLURAL
    kubectl apply -f - >/dev/null <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $2.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: $1, plural: $2}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
END
    kubectl wait --for=condition=Established "crd/$2.cert-manager.io" --timeout=20s >/dev/null
}
certificate() { kubectl -n "$hook_namespace" get certificates.cert-manager.io "$1" -o json; }
issued() { # the Secret of Certificate $release, from its spec
    local secret names
    secret=$(certificate "$release" | jq -r .spec.secretName)
    names=$(certificate "$release" | jq -r '[.spec.dnsNames[] | "DNS:\(.)"] | join(",")')
    make_cert cm-ca cm "/" "$names"
    kubectl -n "$hook_namespace" create secret generic "$secret" --type kubernetes.io/tls --dry-run=client -o yaml \
        --from-file=tls.crt="$E2E_TMP/pki/cm.crt" --from-file=tls.key="$E2E_TMP/pki/cm.key" \
        --from-file=ca.crt="$E2E_TMP/pki/cm-ca.crt" | kubectl apply -f - >/dev/null
    mounted "$secret"
}
injected() { # the caBundles, by the annotations
    local kind from ca n
    for kind in mutatingwebhookconfiguration validatingwebhookconfiguration; do
        from=$(kubectl get "$kind" "$release" -o json | jq -r '.metadata.annotations["cert-manager.io/inject-ca-from"]')
        [ "${from%%/*}" = "$hook_namespace" ] || return 1
        ca=$(kubectl -n "$hook_namespace" get secret "$(certificate "${from#*/}" | jq -r .spec.secretName)" -o jsonpath='{.data.ca\.crt}')
        n=$(kubectl get "$kind" "$release" -o json | jq '.webhooks | length')
        jq -n --argjson n "$n" --arg ca "$ca" '[range($n) | {op: "add", path: "/webhooks/\(.)/clientConfig/caBundle", value: $ca}]' |
            kubectl patch "$kind" "$release" --type json --field-manager cert-manager-cainjector --patch-file /dev/stdin >/dev/null
    done
}
served() {
    local address
    address=$(kubectl -n "$hook_namespace" get service "$release" -o jsonpath='{.spec.clusterIP}')
    openssl s_client -connect "$address:$E2E_HOOK_PORT" </dev/null 2>/dev/null | openssl x509 -noout -serial
}
crd Certificate certificates
crd Issuer issuers
make_ca cm-ca
check 'with cert-manager' helm_ours install "${ghcr[@]}" --set certificates.mode=certManager
issued
check '  the CA is injected by the annotation' injected
check '  the server is ready with the Secret that the Certificate names' ours_start
check '  and the API server calls' wait_for 10 'the API server to call the webhook' hook_called
check '  an upgrade by server-side apply' helm_ours upgrade --reuse-values --set replicaCount=3
same '  keeps the CA' "$(base64_line "$E2E_TMP/pki/cm-ca.crt")" "$(bundles)"
before=$(served)
issued
renewed() { [ "$(served)" != "$before" ]; }
check '  a renewed certificate is served without a restart' wait_for 15 'the new certificate' renewed
check '  and trusted' hook_called
run kubectl get clusterroles -o name -l "app.kubernetes.io/instance=$release"
same '  no right is cluster-wide' '' "$OUT"
check '  uninstall' helm -n "$hook_namespace" uninstall "$release" --wait --timeout 60s
kubectl delete crd certificates.cert-manager.io issuers.cert-manager.io >/dev/null
ours_wiped
