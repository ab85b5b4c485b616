# shellcheck shell=bash
# Scenario 8, our own chart: install, upgrade, rollback, uninstall; a caBundle that somebody
# else writes is kept across all of it; nothing is left behind.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

ours=$E2E_REPO/deploy/chart
if [ ! -f "$ours/Chart.yaml" ]; then
    skip 'our chart' 'deploy/chart is not there'
    exit 0
fi

release=nvcf-registry-webhook
configurations=mutatingwebhookconfiguration,validatingwebhookconfiguration
ours_wiped() {
    helm -n "$hook_namespace" uninstall "$release" >/dev/null 2>&1 || true
    kubectl -n "$hook_namespace" delete deployment,service,configmap,secret,job,pod --all \
        --grace-period=0 --force --wait=false >/dev/null 2>&1 || true
}
hook_unconfig
ours_wiped

bundles() { # the caBundles of all webhooks, each once
    kubectl get "$configurations" -l "app.kubernetes.io/instance=$release" -o json |
        jq -r '[.items[].webhooks[].clientConfig.caBundle // ""] | unique | join(",")'
}
set_bundles() { # BASE64
    local item
    for item in $(kubectl get "$configurations" -l "app.kubernetes.io/instance=$release" -o name); do
        kubectl get "$item" -o json | jq --arg b "$1" '.webhooks | keys |
            map({op: "add", path: "/webhooks/\(.)/clientConfig/caBundle", value: $b})' |
            kubectl patch "$item" --type json --field-manager nvcf-registry-webhook --patch-file /dev/stdin >/dev/null
    done
}
ours_up() { kubectl -n "$hook_namespace" rollout status deployment -l "app.kubernetes.io/instance=$release" --timeout=60s; }
cluster_wide() {
    kubectl get "$configurations,clusterroles,clusterrolebindings" -o name |
        grep nvcf-registry-webhook | grep -v e2e || true
}

check 'helm lint' helm lint --strict "$ours"
check 'it installs into a namespace under the restricted profile' bash -c "
    kubectl label namespace $hook_namespace pod-security.kubernetes.io/enforce=restricted --overwrite &&
    helm install $release $ours -n $hook_namespace"
expect_no_text '  without a warning' 'would violate PodSecurity'
check '  and its pods run' ours_up
same '  two of them' 2 "$(kubectl -n "$hook_namespace" get deployment -l "app.kubernetes.io/instance=$release" \
    -o json | jq '.items[0].status.readyReplicas')"
check '  it renders no caBundle, not even an empty one' bash -c "
    ! helm template $release $ours -n $hook_namespace | grep -n '^ *caBundle:'"

bundle=$(base64_line "$E2E_TMP/pki/hook-ca.crt")
set_bundles "$bundle"
same 'a caBundle written from outside' "$bundle" "$(bundles)"
check 'an upgrade without a change' helm upgrade "$release" "$ours" -n "$hook_namespace" --reuse-values
same '  keeps it' "$bundle" "$(bundles)"
check 'an upgrade with a change' helm upgrade "$release" "$ours" -n "$hook_namespace" --reuse-values \
    --set replicaCount=3
same '  keeps it' "$bundle" "$(bundles)"
check '  runs' ours_up
check 'a rollback' helm -n "$hook_namespace" rollback "$release" 1
same '  keeps it' "$bundle" "$(bundles)"
check '  runs' ours_up
check 'uninstall, with nobody serving' helm -n "$hook_namespace" uninstall "$release" --wait --timeout 60s
same '  leaves nothing cluster-wide' '' "$(cluster_wide)"
check '  and the API can be changed' api_install
ours_wiped
kubectl label namespace "$hook_namespace" pod-security.kubernetes.io/enforce- >/dev/null
