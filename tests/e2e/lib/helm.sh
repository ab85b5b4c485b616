# shellcheck shell=bash
# Helm of the version under test (E2E_HELM: 3 or 4), the stand-in charts, and questions about
# what they left in the cluster.
#
# Needs: cluster.sh, E2E_ROOT (tests/e2e). Left to others: the webhook, and the verdict.

helm_home() {
    export HELM_CACHE_HOME=$E2E_TMP/helm/cache HELM_CONFIG_HOME=$E2E_TMP/helm/config \
        HELM_DATA_HOME=$E2E_TMP/helm/data
    PATH=$E2E_BIN/helm$E2E_HELM.d:$E2E_BIN:$PATH
}

chart() { echo "$E2E_ROOT/charts/$1"; }

# api_install [flags…] / api_upgrade [flags…]: release `api` of the functions API
api_install() {
    helm install api "$(chart helm-nvcf-api)" --namespace nvcf --create-namespace "$@"
}
api_upgrade() {
    helm upgrade api "$(chart helm-nvcf-api)" --namespace nvcf --reuse-values "$@"
}
# With --reuse-values Helm cannot take a value away, not even with null: this starts anew.
api_reset() {
    helm upgrade api "$(chart helm-nvcf-api)" --namespace nvcf --reset-values "$@"
}
tasks_install() {
    helm install tasks "$(chart helm-nvcf-nvct-api)" --namespace nvcf --create-namespace "$@"
}
tasks_upgrade() {
    helm upgrade tasks "$(chart helm-nvcf-nvct-api)" --namespace nvcf --reuse-values "$@"
}
tasks_reset() {
    helm upgrade tasks "$(chart helm-nvcf-nvct-api)" --namespace nvcf --reset-values "$@"
}

# The Deployment that the scenario looks at; the nvct scenario sets another.
deployment=api-helm-nvcf-api

rolled_out() { kubectl -n nvcf rollout status "deployment/$deployment" --timeout=60s; }

deployment_json() { kubectl -n nvcf get deployment "$deployment" -o json; }

# env_value NAME: the value in the container's own env; fails if it is not there
env_value() {
    deployment_json | jq -er --arg n "$1" \
        '.spec.template.spec.containers[0].env[] | select(.name == $n) | .value'
}

# env_is NAME VALUE / env_absent NAME
env_is() { [ "$(env_value "$1")" = "$2" ]; }
env_absent() { ! env_value "$1" >/dev/null; }

env_names() { deployment_json | jq -c '[.spec.template.spec.containers[0].env[].name]'; }

no_duplicate_env() {
    deployment_json | jq -e '[.spec.template.spec.containers[].env // [] | map(.name) |
        length == (unique | length)] | all' >/dev/null
}

# undisturbed COMMAND…: its result, of a time in which nobody wrote the Deployment. kubectl diff reads
# the object and then submits it, dry: a status that the roll-out writes in between looks like drift.
undisturbed() {
    local before rc
    for _ in {1..5}; do
        rc=0 before=$(resource_version)
        "$@" || rc=$?
        [ "$(resource_version)" != "$before" ] || return "$rc"
        sleep 1
    done
    echo 'somebody kept writing the Deployment' >&2
    return 1
}
resource_version() { deployment_json | jq -r .metadata.resourceVersion; }
generation() { deployment_json | jq -r .metadata.generation; }
annotation() { deployment_json | jq -er --arg a "$1" '.metadata.annotations[$a]'; }

# replica_sets: how many pod templates there have been
replica_sets() {
    kubectl -n nvcf get replicasets -o json | jq --arg d "$deployment" \
        '[.items[] | select(.metadata.ownerReferences[]?.name == $d)] | length'
}

# clean_releases: everything the charts and the scenarios may have left in nvcf
clean_releases() {
    local release
    for release in api tasks; do
        helm -n nvcf uninstall "$release" >/dev/null 2>&1 || true
    done
    kubectl -n nvcf delete deployment,replicaset,pod,service,configmap,secret --all --wait=false \
        --grace-period=0 --force >/dev/null 2>&1 || true
    wait_for 30 'an empty namespace' nothing_left
}

nothing_left() {
    [ -z "$(kubectl -n nvcf get deployments,replicasets,pods -o name 2>/dev/null)" ]
}
