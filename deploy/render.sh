#!/usr/bin/env bash
# Makes deploy/manifests out of deploy/chart with its default values, for those who install
# without Helm. With --check it only says whether they are in step; exit code 1 if not.
# HELM names the program (default helm); Helm 3 and 4 render the same.
set -euo pipefail
cd "$(dirname "$0")"

render() { # FOLDER
    local head='# Made by deploy/render.sh from deploy/chart with its default values. Change those.'
    local -a template=("${HELM:-helm}" template nvcf-registry-webhook chart
        --namespace nvcf-registry-webhook --kube-version 1.36.0)
    {
        echo "$head"
        "${template[@]}" --set namespace.create=true --show-only templates/namespace.yaml
    } >"$1/00-namespace.yaml"
    {
        echo "$head"
        "${template[@]}"
    } >"$1/10-webhook.yaml"
    # Who manages these is not Helm.
    sed -i -e '/app.kubernetes.io\/managed-by: Helm/d' -e '/helm.sh\/chart: /d' "$1"/*.yaml
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
render "$tmp"
case ${1:-} in
--check) diff -u manifests "$tmp" || {
    echo 'deploy/manifests is not in step with the chart: run deploy/render.sh' >&2
    exit 1
} ;;
'') cp "$tmp"/*.yaml manifests/ ;;
*)
    echo "render.sh: knows --check only" >&2
    exit 2
    ;;
esac
