#!/usr/bin/env bash
# What a user's terminal shows in scenarios 1 and 3, for the README: the guide's command, then
# the same for a registry that would break the API. Markdown on standard output.
# Usage: transcript.sh [3|4]      the Helm to use, default 4
set -euo pipefail

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_LIB=$E2E_ROOT/lib
E2E_HELM=${1:-4}
E2E_TMP=$(mktemp -d "${TMPDIR:-/tmp}/nvcf-registry-webhook-e2e.XXXXXX")
E2E_WEBHOOK_BIN=${NRW_BIN:-$E2E_ROOT/../../build/release/nvcf-registry-webhook}
# shellcheck source=lib/cluster.sh
. "$E2E_LIB/cluster.sh"
# shellcheck source=lib/webhook.sh
. "$E2E_LIB/webhook.sh"
# shellcheck source=lib/helm.sh
. "$E2E_LIB/helm.sh"
trap 'hook_stop; cluster_stop; rm -rf "$E2E_TMP"' EXIT
registry=NVCF_REGISTRIES_RECOGNIZED_CONTAINER

# shown COMMAND: one line of shell, run and shown with its output, less the time stamps
shown() {
    echo "\$ $1"
    bash -c "$1" 2>&1 | sed -E 's/^[WI][0-9]{4} [0-9:.]+ +[0-9]+ (warnings\.go:[0-9]+\] )?//' |
        grep -v -e '^LAST DEPLOYED' -e '^level=WARN' -e '^TEST SUITE' || true
    echo
}

E2E_BIN=$("$E2E_ROOT/tools/build.sh")
PATH=$E2E_BIN:$PATH
cluster_start
helm_home
hook_address
ln -s "$E2E_ROOT/charts/helm-nvcf-api" "$E2E_TMP/helm-nvcf-api"
cd "$E2E_TMP"
export deployment registry
api_install >/dev/null
rolled_out >/dev/null
hook_up_live < <(policy_text -- 'GHCR=ghcr.io=GitHub Container Registry')

echo '```console'
shown "helm upgrade api ./helm-nvcf-api -n nvcf --reuse-values \\
    --set-string api.env.${registry}_GHCR_NAME='GitHub Container Registry' \\
    --set-string api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
shown "kubectl -n nvcf rollout status deployment/$deployment"
shown "kubectl -n nvcf set env deployment/$deployment --list | grep RECOGNIZED"
shown "helm upgrade api ./helm-nvcf-api -n nvcf --reuse-values \\
    --set-string api.env.${registry}_DOCKER_NAME=Mirror \\
    --set-string api.env.${registry}_DOCKER_HOSTNAME=mirror.corp.example"
shown "helm upgrade api ./helm-nvcf-api -n nvcf --reuse-values \\
    --set-string api.env.${registry}_INTERNAL_NAME=Corporate \\
    --set-string api.env.${registry}_INTERNAL_HOSTNAME=registry.corp.example:5000"
echo '```'
