#!/usr/bin/env bash
# Renders the stand-in charts as `helm template` does, for tests and readers without Helm.
#
# One file a variant in rendered/. `render.sh` writes them, `render.sh --check` says whether
# the committed ones are in step with the charts (exit code 1 if not).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
helm=${HELM:-helm}
registry=NVCF_REGISTRIES_RECOGNIZED_CONTAINER
task_registry=NVCT_REGISTRIES_RECOGNIZED_CONTAINER

# render FILE RELEASE CHART [helm flags…]
render() {
    local file=$1 release=$2 chart=$3
    shift 3
    "$helm" template "$release" "$here/$chart" --namespace nvcf "$@" >"$out/$file.yaml"
}

render_all() {
    render api-plain api helm-nvcf-api
    render api-tuned api helm-nvcf-api \
        --set-string api.env.LOGGING_LEVEL_ROOT=info \
        --set-string "api.env.${registry}_NGC_CALLTIMEOUT=30s"
    render api-ghcr api helm-nvcf-api \
        --set-string "api.env.${registry}_GHCR_NAME=GitHub Container Registry" \
        --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
    render api-docker-takeover api helm-nvcf-api \
        --set-string "api.env.${registry}_DOCKER_NAME=Mirror" \
        --set-string "api.env.${registry}_DOCKER_HOSTNAME=mirror.corp.example"
    render api-incomplete api helm-nvcf-api \
        --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
    render api-port api helm-nvcf-api \
        --set-string "api.env.${registry}_INTERNAL_NAME=Corporate Registry" \
        --set-string "api.env.${registry}_INTERNAL_HOSTNAME=registry.corp.example:5000"
    render api-underscore-key api helm-nvcf-api \
        --set-string "api.env.${registry}_MY_REG_NAME=Mine" \
        --set-string "api.env.${registry}_MY_REG_HOSTNAME=registry.corp.example"
    render api-remote-config api helm-nvcf-api \
        --set-string "api.remoteConfig.nvcf.registries.recognized.container.ghcr.name=GHCR" \
        --set-string "api.remoteConfig.nvcf.registries.recognized.container.ghcr.hostname=ghcr.io"
    render selfmanaged-ghcr api helm-nvcf-api --set fullnameOverride=nvcf-api \
        --set-string "api.env.${registry}_GHCR_NAME=GitHub Container Registry" \
        --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
    render tasks-plain tasks helm-nvcf-nvct-api
    render tasks-ghcr tasks helm-nvcf-nvct-api --set fullnameOverride=nvct-api \
        --set-string "nvctApi.env.${task_registry}_GHCR_NAME=GitHub Container Registry" \
        --set-string "nvctApi.env.${task_registry}_GHCR_HOSTNAME=ghcr.io"
}

case ${1:-} in
'')
    out=$here/rendered
    mkdir -p "$out"
    render_all
    ;;
--check)
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    render_all
    diff -ru "$here/rendered" "$out"
    ;;
*)
    echo "render.sh: '$1' is not known; give nothing or --check" >&2
    exit 2
    ;;
esac
