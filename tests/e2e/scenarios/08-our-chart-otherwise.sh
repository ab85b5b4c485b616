# shellcheck shell=bash
# helms: 4
# Our chart in other ways: deploy/manifests with kubectl alone; a release of Helm 3 that Helm 4 takes
# over, by client- and by server-side apply; what every set of values renders, shown to the
# real API server; and the tests of what is rendered, which need both Helms and are skipped in
# `make test` on a machine that has not fetched them yet.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

ours=$E2E_REPO/deploy/chart
release=nvcf-registry-webhook
configurations=mutatingwebhookconfiguration,validatingwebhookconfiguration
helm3=$E2E_BIN/helm3.d/helm

wiped() {
    helm -n "$hook_namespace" uninstall "$release" >/dev/null 2>&1 || true
    kubectl delete "$configurations,clusterrole,clusterrolebinding" "$release" --ignore-not-found >/dev/null
    kubectl -n nvcf delete role,rolebinding "$release" --ignore-not-found >/dev/null
    kubectl -n "$hook_namespace" delete role,rolebinding,serviceaccount,poddisruptionbudget,networkpolicy "$release" \
        --ignore-not-found >/dev/null
    kubectl -n "$hook_namespace" delete deployment,service,secret,lease --all --wait=false >/dev/null
    kubectl -n "$hook_namespace" delete configmap nvcf-registry-policy --ignore-not-found >/dev/null
}
bundles() {
    kubectl get "$configurations" "$release" -o json |
        jq -r '[.items[].webhooks[].clientConfig.caBundle // "none"] | unique | join(",")'
}
# What the webhook would write: the CA everywhere, and keys into the Secret.
written() {
    local kind name
    for kind in mutatingwebhookconfiguration validatingwebhookconfiguration; do
        for name in $(kubectl get "$kind" "$release" -o jsonpath='{.webhooks[*].name}'); do
            kubectl patch "$kind" "$release" --type strategic --field-manager nvcf-registry-webhook \
                -p '{"webhooks": [{"name": "'"$name"'", "clientConfig": {"caBundle": "'"$bundle"'"}}]}' >/dev/null
        done
    done
    kubectl -n "$hook_namespace" patch secret "$release-tls" --type merge --field-manager nvcf-registry-webhook \
        -p '{"data": {"ca.crt": "'"$bundle"'"}}' >/dev/null
}
kept() {
    same "  keeps the CA" "$bundle" "$(bundles)"
    same "  and the keys" "$bundle" "$(kubectl -n "$hook_namespace" get secret "$release-tls" -o jsonpath='{.data.ca\.crt}')"
}
runs() { kubectl -n "$hook_namespace" rollout status "deployment/$release" --timeout=60s; }

hook_unconfig
wiped
bundle=$(base64_line "$E2E_TMP/pki/hook-ca.crt")

# ---- what is rendered
check 'the tests of what is rendered' env NRW_BIN="$E2E_WEBHOOK_BIN" \
    CHART_HELMS="$helm3 $E2E_BIN/helm4.d/helm" "$E2E_REPO/tests/integration/chart.sh"
accepted() { # [flags…]
    helm template "$release" "$ours" -n "$hook_namespace" "$@" | kubectl apply --dry-run=server --validate=strict -f -
}
check 'the API server takes the defaults' accepted
expect_no_text '  without a warning' Warning
check 'it takes reconcile, client certificates, other targets' accepted --set reconcile=true,clientAuth.secretName=x \
    --set-json 'targets=[{"namespace": "nvcf", "selector": {"a": "b", "c": "d"}, "container": "x", "prefix": "NVCF"},
        {"namespace": "default", "selector": {"a": "b"}, "container": "x", "prefix": "NVCF"}]' \
    --set 'webhooks.configMapNames[0]=special,dashboard.enabled=true' --set-json 'webhooks.configMapSuffixes=[]'
expect_no_text '  without a warning' Warning
check 'it takes a Secret made elsewhere' accepted --set certificates.mode=secret,certificates.secretName=x
check 'it takes host ports' accepted --set hostNetwork=true

# ---- kubectl alone
kubectl label namespace "$hook_namespace" e2e=nvcf-registry-webhook --overwrite >/dev/null
manifests() { kubectl apply --validate=strict -f "$E2E_REPO/deploy/manifests" "$@"; }
check 'kubectl apply -f deploy/manifests' manifests
expect_no_text '  the pods are not too much for the restricted profile' 'would violate'
check '  runs' runs
written
check 'a second time' manifests
expect_text '  it changes nothing' 'deployment.apps/nvcf-registry-webhook unchanged' 'secret/nvcf-registry-webhook-tls unchanged' \
    'mutatingwebhookconfiguration.admissionregistration.k8s.io/nvcf-registry-webhook unchanged'
kept
check 'by server-side apply' manifests --server-side --force-conflicts
kept
check 'kubectl delete -f deploy/manifests, without the namespace' kubectl delete -f "$E2E_REPO/deploy/manifests/10-webhook.yaml"
expect_no_text '  finds all of it' NotFound
wiped
kubectl label namespace "$hook_namespace" pod-security.kubernetes.io/enforce- pod-security.kubernetes.io/warn- >/dev/null

# ---- Helm 3, then Helm 4
check 'Helm 3 installs it' "$helm3" install "$release" "$ours" -n "$hook_namespace"
written
check 'Helm 4 upgrades it' helm upgrade "$release" "$ours" -n "$hook_namespace" --reuse-values --set replicaCount=3
kept
check 'Helm 4 upgrades it by server-side apply' helm upgrade "$release" "$ours" -n "$hook_namespace" --reuse-values \
    --server-side=true --set replicaCount=2
kept
check '  and again, with another policy' helm upgrade "$release" "$ours" -n "$hook_namespace" --reuse-values \
    --set policy.registries.QUAY.name=Quay,policy.registries.QUAY.hostname=quay.io
kept
check 'Helm 4 rolls it back to what Helm 3 installed' helm -n "$hook_namespace" rollback "$release" 1
kept
check '  it runs' runs
check 'Helm 4 uninstalls it' helm -n "$hook_namespace" uninstall "$release" --wait --timeout 60s
run kubectl get "$configurations,clusterroles,roles,rolebindings,secrets,serviceaccounts,configmaps,services,deployments" -A \
    -o name -l "app.kubernetes.io/instance=$release"
same '  and nothing is left' '' "$OUT"
wiped
