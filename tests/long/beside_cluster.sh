#!/usr/bin/env bash
# What make bench stands on: with-cluster.sh gives a command a control plane of its own, and
# lib/webhook.sh puts our webhook in force there, with nothing but what with-cluster.sh sets.
# Where the control plane is not built yet, all is skipped (tests/e2e/tools/build.sh builds it).
set -euo pipefail
# shellcheck source=../integration/lib.sh
source "$(dirname "$0")/../integration/lib.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/nvcf-registry-webhook/bin
for program in etcd kube-apiserver kube-controller-manager kubectl; do
    [ -x "$cache/$program" ] || {
        skip 'a webhook beside a control plane of its own' "no $program in $cache"
        finish
    }
done

# shellcheck disable=SC2016 # expanded by the inner shell
env -u E2E_REPO -u KUBECONFIG E2E_WEBHOOK_BIN="$NRW_BIN" "$root/tests/e2e/with-cluster.sh" bash -c '
    set -euo pipefail
    . "$E2E_LIB/cluster.sh"
    . "$E2E_LIB/webhook.sh"
    trap cluster_stop EXIT
    hook_address
    hook_up_live <<END
apiVersion: nvcf-registry-webhook/v1
kind: RegistryPolicy
registries:
  GHCR: {name: GitHub Container Registry, hostname: ghcr.io}
END
    kubectl apply --server-side -f "$E2E_ROOT/charts/rendered/api-plain.yaml" >/dev/null
    kubectl -n nvcf get deployment api-helm-nvcf-api -o json | jq -r \
        ".spec.template.spec.containers[0].env[] | select(.name | endswith(\"_GHCR_HOSTNAME\")).value"
' >"$WORK/out" 2>"$LOGS/beside.log" || true
is 'an update is injected beside a control plane of its own' ghcr.io "$(tail -1 "$WORK/out")"
finish
