#!/usr/bin/env bash
# What an update of a Deployment takes through a real API server: with nobody asked, with our
# webhook (mutate and validate), with the controller-runtime peer (likewise), and with a
# MutatingAdmissionPolicy and a ValidatingAdmissionPolicy that do the same in CEL.
#
# How: four namespaces with the same Deployment, each with its own of these, all in force at
# once; updates/ replaces them in turn. Ours watches its policy and the ConfigMaps, as it
# does in a cluster; the peer has its list from a file.
# Runs beside a control plane (run.sh does it): tests/e2e/with-cluster.sh bench/apiserver/measure.sh
# Needs: NRW_BIN, NRW_PEERS (folder of the peers' programs), NRW_BENCH_OUT, BENCH_UPDATES.
set -euo pipefail
job=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/../peers/job.sh
"$job" ours "$E2E_TMP"
export E2E_WEBHOOK_BIN=$E2E_TMP/ours
# shellcheck source=../../tests/e2e/lib/cluster.sh
. "$E2E_LIB/cluster.sh"
# shellcheck source=../../tests/e2e/lib/webhook.sh
. "$E2E_LIB/webhook.sh"

finish() {
    local code=$?
    trap - EXIT
    [ "$code" -eq 0 ] || show_logs 30
    cluster_stop # what this script has started
    exit "$code"
}
trap finish EXIT

api=$(kubectl config view --raw -o jsonpath='{.clusters[0].cluster.server}')
list=$E2E_TMP/registries.json
"$job" registries >"$list"

# deployment_in NAMESPACE: the chart's objects, as Helm 4 would apply them
deployment_in() {
    kubectl create namespace "$1" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
    sed "s/namespace: nvcf\$/namespace: $1/" "$E2E_ROOT/charts/rendered/api-plain.yaml" |
        kubectl apply --server-side --field-manager=helm -f - >/dev/null
    kubectl -n "$1" rollout status deployment/api-helm-nvcf-api --timeout=60s >/dev/null
}

rules='[{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], scope: Namespaced}]'
selector() { echo "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [$1]}]}"; }

peer_up() {
    local port ip client
    port=$(free_port)
    kubectl create namespace bench-hook >/dev/null
    kubectl -n bench-hook create -f - >/dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: peer}
spec: {ports: [{name: https, port: $port}]}
END
    ip=$(kubectl -n bench-hook get service peer -o jsonpath='{.spec.clusterIP}')
    mkdir "$E2E_TMP/peer"
    make_cert hook-ca peer /CN=peer DNS:peer.bench-hook.svc
    cp "$E2E_TMP/pki/peer.crt" "$E2E_TMP/peer/tls.crt"
    cp "$E2E_TMP/pki/peer.key" "$E2E_TMP/peer/tls.key"
    spawn peer "$NRW_PEERS/ctrlruntime" -host "$ip" -port "$port" -certs "$E2E_TMP/peer" -registries "$list"
    wait_for 10 'the peer' curl -sk --max-time 2 -o /dev/null "https://$ip:$port/"
    client="service: {name: peer, namespace: bench-hook, port: $port, path: /%}, caBundle: $(base64_line "$E2E_TMP/pki/hook-ca.crt")"
    kubectl apply -f - >/dev/null <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: bench-peer}
webhooks:
- name: mutate.peer.example
  clientConfig: {${client/\%/mutate}}
  rules: $rules
  namespaceSelector: $(selector bench-peer)
  admissionReviewVersions: [v1]
  sideEffects: None
  reinvocationPolicy: IfNeeded
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: bench-peer}
webhooks:
- name: validate.peer.example
  clientConfig: {${client/\%/validate}}
  rules: $rules
  namespaceSelector: $(selector bench-peer)
  admissionReviewVersions: [v1]
  sideEffects: None
END
}

# The keys are sorted, because a map has no order: without it the variables would come out in
# another order each time, and every update would be a roll-out.
cel_up() {
    kubectl -n bench-cel create configmap registries --dry-run=client -o json |
        jq --slurpfile data "$list" '.data = $data[0]' | kubectl apply -f - >/dev/null
    kubectl apply -f - >/dev/null <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: bench-cel}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: $rules
    namespaceSelector: $(selector bench-cel)
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
        containers: object.spec.template.spec.containers.filter(c, c.name == "helm-nvcf-api").map(c,
        Object.spec.template.spec.containers{name: c.name, env: params.data.map(k, k).sort().map(k,
        Object.spec.template.spec.containers.env{name: k, value: params.data[k]})})}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: bench-cel}
spec:
  policyName: bench-cel
  paramRef: {name: registries, parameterNotFoundAction: Deny}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: bench-cel}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: $rules
    namespaceSelector: $(selector bench-cel)
  failurePolicy: Fail
  validations:
  - expression: >-
      object.spec.template.spec.containers.filter(c, c.name == "helm-nvcf-api").all(c, params.data.all(k,
      c.env.exists(e, e.name == k && has(e.value) && e.value == params.data[k])))
    message: a registry is missing
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: bench-cel}
spec:
  policyName: bench-cel
  validationActions: [Deny]
  paramRef: {name: registries, parameterNotFoundAction: Deny}
END
}

# mutated NAMESPACE: an update brings all variables, and one that drops them brings them back
mutated() {
    kubectl -n "$1" label deployment api-helm-nvcf-api probe="$RANDOM" --overwrite >/dev/null
    [ "$(kubectl -n "$1" get deployment api-helm-nvcf-api -o json | jq --slurpfile want "$list" \
        '[.spec.template.spec.containers[0].env[] | select(.name as $n | $want[0] | has($n))] | length')" = \
        "$(jq length "$list")" ]
}

for namespace in bench-none nvcf bench-peer bench-cel; do deployment_in "$namespace"; done
hook_address
"$job" policy | policy_configmap >/dev/null
hook_start_live
wait_for 10 'our webhook' hook_ready
hook_config Fail
peer_up
cel_up
for namespace in nvcf bench-peer bench-cel; do
    wait_for 20 "mutation in $namespace" mutated "$namespace"
    kubectl -n "$namespace" rollout status deployment/api-helm-nvcf-api --timeout=60s >/dev/null
done

rss() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$(cat "$E2E_TMP/$1.pid")/status"; }
mkdir -p "$NRW_BENCH_OUT"
"$NRW_PEERS/updates" -server "$api" -server-pid "$(cat "$E2E_TMP/kube-apiserver.pid")" \
    -ca "$E2E_TMP/pki/kube-ca.crt" -cert "$E2E_TMP/pki/admin.crt" -key "$E2E_TMP/pki/admin.key" \
    -registries "$list" -rounds "$BENCH_UPDATES" -raw "$NRW_BENCH_OUT/apiserver.tsv" \
    "nobody=bench-none" \
    "ours=nvcf,mutates,pid=$(cat "$E2E_TMP/webhook.pid")" \
    "controller-runtime=bench-peer,mutates,pid=$(cat "$E2E_TMP/peer.pid")" \
    "CEL policies=bench-cel,mutates" >"$E2E_TMP/table"
{
    cat <<END
## Through the API server

An update (PUT) of the chart's Deployment on the e2e control plane: kube-apiserver
$(kubectl version -o json 2>/dev/null | jq -r .serverVersion.gitVersion), etcd without fsync, loopback, one connection, one update at a time; $BENCH_UPDATES updates
of each kind, in turn. The body never has the four variables, so everybody but the first has to put
them in at every update, and the answers were looked at: all there, in the same order. Ours and
controller-runtime are asked twice, to mutate and to validate; ours also watches its policy and the
ConfigMaps, and decides all that it does. CEL: a MutatingAdmissionPolicy and a
ValidatingAdmissionPolicy (v1), the list in a ConfigMap as their parameter. Milliseconds; "added" is
the difference within a round from the update with nobody asked; CPU is the mean.

| asked | p50 | p99 | added p50 | added p99 | CPU of the API server per update | CPU of the webhook per update |
|---|---|---|---|---|---|---|
END
    cat "$E2E_TMP/table"
    echo
    echo "Resident afterwards: ours ($(<"$E2E_TMP/kind")) $(rss webhook) kB, controller-runtime"
    echo "$(rss peer) kB; CEL has no process of its own."
} >"$NRW_BENCH_OUT/apiserver.md"
