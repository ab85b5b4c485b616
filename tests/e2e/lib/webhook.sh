# shellcheck shell=bash
# The webhook under test as a process beside the control plane, reached as in a cluster:
# through a Service. The cluster's Service addresses are loopback addresses (cluster.sh), so
# a process can listen on the very address that the API server resolves; only the pods are
# played. With E2E_KUBECONFIG the configurations carry a url instead, with E2E_WEBHOOK_HOST
# (default 127.0.0.1) as the host that cluster's API server reaches this machine by.
#
# Sets: E2E_HOOK_IP, E2E_HOOK_PORT, E2E_HOOK_METRICS. Needs: cluster.sh, E2E_WEBHOOK_BIN.
# Left to others: what is sent to it (helm.sh, the scenarios).

hook_namespace=nvcf-registry-webhook
hook_name=nvcf-registry-webhook

# hook_address: the namespace, the Service and a certificate for it; once a process.
hook_address() {
    local names="DNS:$hook_name.$hook_namespace.svc,DNS:localhost,IP:127.0.0.1"
    [ -z "${E2E_HOOK_IP:-}" ] || return 0
    E2E_HOOK_PORT=$(free_port)
    E2E_HOOK_METRICS=$(free_port)
    kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Namespace
metadata: {name: $hook_namespace, labels: {e2e: nvcf-registry-webhook}}
---
apiVersion: v1
kind: Namespace
metadata: {name: nvcf, labels: {e2e: nvcf-registry-webhook}}
END
    if [ -n "${E2E_KUBECONFIG:-}" ]; then
        E2E_HOOK_IP=${E2E_WEBHOOK_HOST:-127.0.0.1}
    else
        kubectl -n "$hook_namespace" delete service "$hook_name" --ignore-not-found >/dev/null
        kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: $hook_name, namespace: $hook_namespace}
spec:
  ports: [{name: https, port: $E2E_HOOK_PORT}]
END
        E2E_HOOK_IP=$(kubectl -n "$hook_namespace" get service "$hook_name" \
            -o jsonpath='{.spec.clusterIP}')
    fi
    [ -f "$E2E_TMP/pki/hook-ca.crt" ] || make_ca hook-ca
    make_cert hook-ca hook "/CN=$hook_name" "$names,IP:$E2E_HOOK_IP"
}

# hook_client PATH: the clientConfig of a webhook, as JSON. With E2E_NO_BUNDLE the webhook has
# to write its caBundle itself.
hook_client() {
    local bundle=
    [ -n "${E2E_NO_BUNDLE:-}" ] ||
        bundle=", \"caBundle\": \"$(base64_line "$E2E_TMP/pki/hook-ca.crt")\""
    if [ -n "${E2E_KUBECONFIG:-}" ]; then
        echo "{\"url\": \"https://$E2E_HOOK_IP:$E2E_HOOK_PORT$1\"$bundle}"
    else
        echo "{\"service\": {\"name\": \"$hook_name\", \"namespace\": \"$hook_namespace\"," \
            "\"port\": $E2E_HOOK_PORT, \"path\": \"$1\"}$bundle}"
    fi
}

# hook_config [Fail|Ignore]: both configurations, as narrow as the chart makes them
hook_config() {
    local failure=${1:-Fail} apps targets
    apps='{key: app.kubernetes.io/name, operator: In, values: [helm-nvcf-api, helm-nvcf-nvct-api]}'
    targets='{key: kubernetes.io/metadata.name, operator: In, values: [nvcf]}'
    kubectl apply -f - >/dev/null <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: $hook_name}
webhooks:
- name: deployments.mutate.nvcf-registry-webhook.dev
  clientConfig: $(hook_client /mutate)
  rules:
  - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], scope: Namespaced}
  namespaceSelector: {matchExpressions: [$targets]}
  objectSelector: {matchExpressions: [$apps]}
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 3
  matchPolicy: Equivalent
  reinvocationPolicy: IfNeeded
  failurePolicy: $failure
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: $hook_name}
webhooks:
- name: deployments.validate.nvcf-registry-webhook.dev
  clientConfig: $(hook_client /validate)
  rules:
  - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], scope: Namespaced}
  namespaceSelector: {matchExpressions: [$targets]}
  objectSelector: {matchExpressions: [$apps]}
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 3
  matchPolicy: Equivalent
  failurePolicy: $failure
- name: configmaps.validate.nvcf-registry-webhook.dev
  clientConfig: $(hook_client /validate)
  rules:
  - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps], scope: Namespaced}
  namespaceSelector: {matchExpressions: [$targets]}
  matchConditions:
  - name: configuration-of-the-api
    expression: $(sed -n '/name: configuration-of-the-api/{n;s/.*expression: //p;}' "$E2E_REPO/deploy/manifests/10-webhook.yaml")
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 3
  matchPolicy: Equivalent
  failurePolicy: $failure
- name: policy.validate.nvcf-registry-webhook.dev
  clientConfig: $(hook_client /validate)
  rules:
  - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps], scope: Namespaced}
  namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [$hook_namespace]}]}
  matchConditions:
  - name: the-policy
    expression: object.metadata.name == "nvcf-registry-policy"
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 3
  matchPolicy: Equivalent
  failurePolicy: $failure
END
}

hook_unconfig() {
    kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration "$hook_name" \
        --ignore-not-found >/dev/null
}

# a Deployment that matches the webhooks and is never stored
hook_canary() {
    kubectl -n nvcf create -o name --dry-run=server -f - 2>&1 <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: canary, labels: {app.kubernetes.io/name: helm-nvcf-api}}
spec:
  selector: {matchLabels: {app: canary}}
  template:
    metadata: {labels: {app: canary}}
    spec: {containers: [{name: helm-nvcf-api, image: stand-in.invalid/canary}]}
END
}

# canary_json NAME [VARIABLE]: one as JSON, with a host in that variable
canary_json() {
    jq -nc --arg n "$1" --arg v "${2:-}" '{apiVersion: "apps/v1", kind: "Deployment",
        metadata: {name: $n, labels: {"app.kubernetes.io/name": "helm-nvcf-api"}},
        spec: {selector: {matchLabels: {app: $n}}, template: {metadata: {labels: {app: $n}},
        spec: {containers: [{name: "helm-nvcf-api", image: "stand-in.invalid/canary",
            env: (if $v == "" then [] else [{name: $v, value: "mirror.corp.example"}] end)}]}}}}'
}

# proxy_start: the API in plain HTTP at $api, for curl: a kubectl takes a tenth of a second
proxy_start() {
    local port
    port=$(free_port)
    api=http://127.0.0.1:$port
    spawn proxy kubectl proxy --port "$port"
    wait_for 10 'kubectl proxy' curl -fsS "$api/readyz"
}

hook_calls() {
    curl -fsS --max-time 3 "http://127.0.0.1:$E2E_HOOK_METRICS/metrics" |
        awk '/^nvcf_registry_webhook_admission_requests_total/ { n += $NF } END { print n + 0 }'
}

# hook_called: both configurations are in force; a ConfigMap and a Deployment, neither stored
hook_called() {
    local before
    before=$(hook_calls)
    kubectl -n nvcf create configmap canary-nvcf-api-env --dry-run=server >/dev/null 2>&1 || true
    [ "$(hook_calls)" -gt "$before" ] || return 1
    before=$(hook_calls)
    hook_canary >/dev/null || true
    [ "$(hook_calls)" -gt "$before" ]
}

hook_ready() { curl -fsS --max-time 3 "http://127.0.0.1:$E2E_HOOK_METRICS/readyz"; }

# hook_start [serve flags…]: the real webhook with $E2E_TMP/policy.yaml, ready when it returns
hook_start() {
    hook_address
    spawn webhook "$E2E_WEBHOOK_BIN" serve --listen "$E2E_HOOK_IP:$E2E_HOOK_PORT" \
        --metrics-listen "127.0.0.1:$E2E_HOOK_METRICS" --policy-file "$E2E_TMP/policy.yaml" \
        --tls-cert "$E2E_TMP/pki/hook.crt" --tls-key "$E2E_TMP/pki/hook.key" \
        --log-format text --drain-seconds 0 "$@"
    wait_for 10 'the webhook' hook_ready
}

# hook_kubeconfig FILE: the webhook's own account, by a token, with the rights it may have
hook_kubeconfig() {
    local token
    kubectl apply -f "$E2E_LIB/webhook-rbac.yaml" >/dev/null
    token=$(kubectl -n "$hook_namespace" create token "$hook_name" --duration 2h)
    kubectl config view --raw --minify --flatten -o json | jq --arg t "$token" \
        --arg n "$hook_namespace" '.users = [{name: "webhook", user: {token: $t}}] |
            .contexts[0].context |= . + {user: "webhook", namespace: $n}' >"$1"
    chmod 600 "$1"
}

hook_listens() { curl -fsS --max-time 3 "http://127.0.0.1:$1/healthz" >/dev/null 2>&1; }
hook_listens_or_died() { hook_listens "$2" || ! kill -0 "$(cat "$E2E_TMP/$1.pid")" 2>/dev/null; }

hook_account_gone() {
    [ -f "$E2E_TMP/webhook.kubeconfig" ] || return 0
    rm -f "$E2E_TMP/webhook.kubeconfig"
    kubectl delete -f "$E2E_LIB/webhook-rbac.yaml" --ignore-not-found >/dev/null
}

# hook_start_live [serve flags…]: policy and ConfigMaps through the API, certificates from
# files; it need not be ready
hook_start_live() {
    hook_start_cluster webhook "$E2E_HOOK_IP:$E2E_HOOK_PORT" "$E2E_HOOK_METRICS" \
        --tls-cert "$E2E_TMP/pki/hook.crt" --tls-key "$E2E_TMP/pki/hook.key" "$@"
}

# hook_start_self [serve flags…]: likewise, with certificates of its own making
hook_start_self() {
    hook_start_cluster webhook "$E2E_HOOK_IP:$E2E_HOOK_PORT" "$E2E_HOOK_METRICS" \
        --tls-secret "$hook_namespace/$hook_name-tls" --webhook-config "$hook_name" \
        --dns-name "$hook_name.$hook_namespace.svc" "$@"
}

# hook_start_cluster NAME ADDRESS METRICS-PORT [serve flags…], with what $hook_environment
# (NAME=VALUE…) adds to its environment
hook_environment=()
hook_start_cluster() {
    local name=$1 address=$2 metrics=$3
    shift 3
    [ -f "$E2E_TMP/webhook.kubeconfig" ] || hook_kubeconfig "$E2E_TMP/webhook.kubeconfig"
    spawn "$name" env POD_NAME="$name" ${hook_environment[@]+"${hook_environment[@]}"} "$E2E_WEBHOOK_BIN" serve --listen "$address" \
        --metrics-listen "127.0.0.1:$metrics" --kubeconfig "$E2E_TMP/webhook.kubeconfig" \
        --policy-configmap "$hook_namespace/nvcf-registry-policy" \
        --log-format text --drain-seconds 0 "$@"
    wait_for 5 'the webhook to listen' hook_listens_or_died "$name" "$metrics"
    hook_listens "$metrics"
}

# hook_stop: ends it, and waits until it is gone
hook_stop() {
    [ -f "$E2E_TMP/webhook.pid" ] || return 0
    end_pid "$(cat "$E2E_TMP/webhook.pid")" 5
    rm -f "$E2E_TMP/webhook.pid"
}

# hook_kill: as a crash would
hook_kill() {
    local pid
    pid=$(cat "$E2E_TMP/webhook.pid")
    disown "$pid" 2>/dev/null || true
    kill -KILL "$pid"
    rm -f "$E2E_TMP/webhook.pid"
}

# hook_up [Fail|Ignore]: started, registered, and known to the API server
hook_up() {
    hook_start
    hook_config "${1:-Fail}"
    wait_for 10 'the API server to call the webhook' hook_called
}

# hook_up_live: as hook_up, with the policy of standard input in its ConfigMap
hook_up_live() {
    policy_configmap >/dev/null
    hook_start_live
    wait_for 10 'readiness' hook_ready
    hook_config Fail
    wait_for 10 'the API server to call the webhook' hook_called
}

# ---- policy ---------------------------------------------------------------------------

policy_hash() {
    curl -fsS --max-time 3 "http://127.0.0.1:$E2E_HOOK_METRICS/metrics" |
        sed -n 's/^nvcf_registry_webhook_policy_info{.*hash="\([^"]*\)".*} 1.*/\1/p'
}

policy_hash_is_not() { [ "$(policy_hash)" != "$1" ]; }

# policy_set: the policy from standard input; waits until a running webhook has it
policy_set() {
    local before=
    [ ! -f "$E2E_TMP/webhook.pid" ] || before=$(policy_hash)
    cat >"$E2E_TMP/policy.new"
    if [ -f "$E2E_TMP/policy.yaml" ] && cmp -s "$E2E_TMP/policy.new" "$E2E_TMP/policy.yaml"; then
        return 0
    fi
    mv -f "$E2E_TMP/policy.new" "$E2E_TMP/policy.yaml"
    [ -z "$before" ] || wait_for 20 'the new policy' policy_hash_is_not "$before"
}

# policy_text [top-level lines…] -- [KEY=hostname=name…]: a policy
policy_text() {
    local entry key host
    printf 'apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n'
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        printf '%s\n' "$1"
        shift
    done
    [ $# -eq 0 ] || shift
    [ $# -eq 0 ] || echo 'registries:'
    for entry in "$@"; do
        key=${entry%%=*}
        entry=${entry#*=}
        host=${entry%%=*}
        printf '  %s:\n    name: %s\n    hostname: %s\n' "$key" "${entry#*=}" "$host"
    done
}

# policy: the same, put into force as the policy file
policy() { policy_text "$@" | policy_set; }

# policy_in_force: likewise, and waits until the webhook has it
policy_in_force() {
    local before
    before=$(policy_hash)
    policy_configmap >/dev/null
    wait_for 5 'the new policy' policy_hash_is_not "$before"
}

# policy_configmap: the policy from standard input, as the ConfigMap that is watched
policy_configmap() {
    kubectl -n "$hook_namespace" create configmap nvcf-registry-policy --dry-run=client \
        -o yaml --from-literal=policy.yaml="$(cat)" | kubectl apply -f - 2>&1
}

policy_gone() {
    kubectl -n "$hook_namespace" delete configmap nvcf-registry-policy --ignore-not-found >/dev/null
}
