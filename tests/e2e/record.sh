#!/usr/bin/env bash
# Records the AdmissionReviews that a real API server sends, into recorded/.
#
# What: the control plane of the suite, with the recorder in the webhook's place (it allows
# everything), and the usual deeds of users with Helm 3, Helm 4 and kubectl. The files are
# input for tests of the review reader: byte for byte what came in. Run it again when the
# stand-in charts or the Kubernetes version change.
# Usage: record.sh [DIR]
set -euo pipefail

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_LIB=$E2E_ROOT/lib
E2E_TMP=$(mktemp -d "${TMPDIR:-/tmp}/nvcf-registry-webhook-e2e.XXXXXX")
# shellcheck source=lib/cluster.sh
. "$E2E_LIB/cluster.sh"
# shellcheck source=lib/webhook.sh
. "$E2E_LIB/webhook.sh"
# shellcheck source=lib/helm.sh
. "$E2E_LIB/helm.sh"

finish() {
    local code=$?
    if [ "$code" -ne 0 ]; then
        cat "$E2E_TMP/commands.log" >&2 || true
        show_logs 40
    fi
    cluster_stop
    rm -rf "$E2E_TMP"
    exit "$code"
}
trap finish EXIT

out=${1:-$E2E_ROOT/recorded}
registry=NVCF_REGISTRIES_RECOGNIZED_CONTAINER
E2E_BIN=$("$E2E_ROOT/tools/build.sh")
PATH=$E2E_BIN:$PATH
records=$E2E_TMP/records
mkdir -p "$out" "$records"

# record LABEL COMMAND…
record() {
    echo "$1" >"$records/label"
    shift
    "$@" >/dev/null 2>>"$E2E_TMP/commands.log"
}

edit_env_configmap() {
    kubectl -n nvcf patch configmap "$deployment-env" --type merge \
        -p "{\"data\":{\"${registry}_DOCKER_HOSTNAME\":\"mirror.corp.example\"}}"
}

edit_remote_config() {
    kubectl -n nvcf get configmap "$deployment-remote-config" -o json |
        jq '.data["nvcf-api.yaml"] += "  registries: {recognized: {container: {ghcr: {hostname: ghcr.io}}}}\n"' |
        kubectl replace -f -
}

deeds() {
    local h=helm$1
    record "$h-install" api_install
    rolled_out >/dev/null
    record "$h-upgrade-guide" api_upgrade \
        --set-string "api.env.${registry}_GHCR_NAME=GitHub Container Registry" \
        --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
    rolled_out >/dev/null
    record "$h-upgrade-same" api_upgrade
    record "$h-rollback" helm -n nvcf rollback api 1
    record "$h-reinstate" api_upgrade --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io" \
        --set-string "api.env.${registry}_GHCR_NAME=GitHub Container Registry"
}

kubectl_deeds() {
    local manifest=$E2E_ROOT/charts/rendered/selfmanaged-ghcr.yaml
    record kubectl-rollout-restart kubectl -n nvcf rollout restart "deployment/$deployment"
    record kubectl-annotate kubectl -n nvcf annotate deployment "$deployment" note=hello
    record kubectl-set-env kubectl -n nvcf set env "deployment/$deployment" \
        -c helm-nvcf-api "${registry}_DOCKER_HOSTNAME=mirror.corp.example"
    record kubectl-env-configmap edit_env_configmap
    record kubectl-remote-config edit_remote_config
    record kubectl-dry-run kubectl -n nvcf annotate deployment "$deployment" note=dry \
        --overwrite --dry-run=server
    record kubectl-apply-client kubectl apply -n nvcf -f "$manifest"
    record unnamed kubectl delete -n nvcf -f "$manifest"
    record kubectl-apply-server kubectl apply -n nvcf --server-side -f "$manifest"
    record kubectl-finalizer kubectl -n nvcf patch deployment nvcf-api --type merge \
        -p '{"metadata":{"finalizers":["e2e.invalid/hold"]}}'
    record kubectl-delete kubectl -n nvcf delete deployment nvcf-api --wait=false
    record kubectl-finalizer-gone kubectl -n nvcf patch deployment nvcf-api --type merge \
        -p '{"metadata":{"finalizers":null}}'
}

export E2E_HELM
cluster_start
E2E_HELM=4
helm_home
hook_address
spawn recorder "$E2E_BIN/recorder" --listen "$E2E_HOOK_IP:$E2E_HOOK_PORT" --dir "$records" \
    --tls-cert "$E2E_TMP/pki/hook.crt" --tls-key "$E2E_TMP/pki/hook.key"
hook_config Fail
wait_for 20 'the API server to call the recorder' hook_canary
# Every later call is wanted; these were only to see that the configuration is in force.
wait_for 10 'a record' compgen -G "$records/unnamed.*"
for E2E_HELM in 3 4; do
    helm_home
    clean_releases
    deeds "$E2E_HELM"
done
kubectl_deeds
hook_unconfig
rm -f "$out"/*.json "$out"/*.http "$records"/unnamed.*
# Request line and headers are the same every time: those of the installs are enough.
cp "$records"/*.json "$records"/*install*.http "$out"
echo "$(find "$out" -name '*.json' | wc -l) reviews recorded"
