# shellcheck shell=bash
# What every scenario file sources first. run.sh starts one process for a scenario and a
# Helm, and exports E2E_ROOT, E2E_TMP, E2E_BIN, E2E_LIB, E2E_HELM, E2E_RESULTS, E2E_LABEL,
# E2E_WEBHOOK_BIN and KUBECONFIG.

set -euo pipefail

# shellcheck source=lib/cluster.sh
. "$E2E_LIB/cluster.sh"
# shellcheck source=lib/webhook.sh
. "$E2E_LIB/webhook.sh"
# shellcheck source=lib/helm.sh
. "$E2E_LIB/helm.sh"
# shellcheck source=lib/check.sh
. "$E2E_LIB/check.sh"

# shellcheck disable=SC2034 # for the scenarios
registry=NVCF_REGISTRIES_RECOGNIZED_CONTAINER
# shellcheck disable=SC2034 # for the scenarios
task_registry=NVCT_REGISTRIES_RECOGNIZED_CONTAINER

scenario_end() {
    local code=$?
    trap - EXIT
    if [ "$code" -ne 0 ]; then
        fail "the scenario ran to its end" "exit code $code"
    fi
    hook_unconfig || true
    hook_stop || true
    policy_gone || true
    hook_account_gone || true
    clean_releases || true
    cluster_stop
    exit "$code"
}

# What the last scenario left, it has cleaned up itself; a killed one may not have.
scenario_begin() {
    trap scenario_end EXIT
    helm_home
    hook_unconfig
    hook_address
}

# key_flags KEY HOSTNAME NAME [PREFIX VALUES]: the guide's two --set-string flags, one a line
key_flags() {
    local prefix=${4:-$registry} values=${5:-api.env}
    printf '%s\n' --set-string "$values.${prefix}_$1_NAME=$3" \
        --set-string "$values.${prefix}_$1_HOSTNAME=$2"
}

scenario_begin
