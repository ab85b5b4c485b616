# shellcheck shell=bash
# Scenario 4, everything else that people do to these objects: edits, apply, diff, dry runs,
# scale, restart, undo, annotate, delete. The bad is refused by name, the good passes.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
mapfile -t flags < <(key_flags GHCR ghcr.io 'GitHub Container Registry')
check 'the API is there' api_install "${flags[@]}"
check 'and runs' rolled_out
manifest=$E2E_ROOT/charts/rendered/selfmanaged-ghcr.yaml

set_env() { kubectl -n nvcf set env "deployment/$deployment" -c helm-nvcf-api "$@"; }
patch_configmap() { # NAME KEY VALUE
    kubectl -n nvcf patch configmap "$1" --type merge \
        -p "$(jq -n --arg k "$2" --arg v "$3" '{data: {($k): $v}}')"
}

# ---- the Deployment
expect_refused 'kubectl set env: Docker Hub taken over' set_env \
    "${registry}_DOCKER_HOSTNAME=mirror.corp.example"
expect_text '  by name' BuiltinCollision DOCKER
expect_refused 'by the dotted property name' set_env \
    nvcf.registries.recognized.container.docker.hostname=mirror.corp.example
check 'another variable' set_env LOGGING_LEVEL_ROOT=debug
check 'a registry the policy does not list' set_env \
    "${registry}_GITLAB_NAME=GitLab" "${registry}_GITLAB_HOSTNAME=registry.gitlab.com"
expect_text '  with a warning' 'Warning:' GITLAB
check 'taken away again' set_env "${registry}_GITLAB_NAME-" "${registry}_GITLAB_HOSTNAME-"
check 'an injected variable, taken away by hand' set_env "${registry}_GHCR_NAME-"
check '  comes back' env_is "${registry}_GHCR_NAME" 'GitHub Container Registry'
check 'an injected variable, changed by hand' set_env "${registry}_GHCR_HOSTNAME=mirror.example"
check '  is set back' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check 'no variable twice' no_duplicate_env

# ---- dry runs
stored() { # less what the controllers write
    deployment_json | jq -c '[.metadata.generation, .spec,
        (.metadata.annotations | del(.["deployment.kubernetes.io/revision"]))]'
}
before=$(stored)
expect_refused 'a dry run refuses as well' set_env --dry-run=server \
    "${registry}_DOCKER_HOSTNAME=mirror.corp.example"
check 'a good dry run passes' set_env --dry-run=server LOGGING_LEVEL_ROOT=trace
same 'and leaves no trace' "$before" "$(stored)"

# ---- its ConfigMaps
expect_refused 'the -env ConfigMap: a collision' patch_configmap "$deployment-env" \
    "${registry}_DOCKER_HOSTNAME" mirror.corp.example
expect_text '  by name' BuiltinCollision DOCKER
check 'the -env ConfigMap: something else' patch_configmap "$deployment-env" LOGGING_LEVEL_WEB info
remote() { # CONTAINER-ENTRIES as flow YAML
    patch_configmap "$deployment-remote-config" nvcf-api.yaml \
        "nvcf: {registries: {recognized: {container: $1}}}"
}
expect_refused 'remote config: Docker Hub taken over' remote \
    '{docker: {name: Mirror, hostname: mirror.corp.example}}'
expect_text '  by name' docker
expect_refused 'remote config: a host without a name' remote '{gitlab: {hostname: registry.gitlab.com}}'
sibling() { # YAML: the ConfigMap that Spring reads after it, for the profile ncp
    kubectl -n nvcf create configmap "$deployment-remote-config-ncp" --from-literal=nvcf-api.yaml="$1"
}
expect_refused '  in its sibling for the profile' sibling \
    'nvcf.registries.recognized.container.docker.hostname: mirror.corp.example'
expect_text '  by name' docker
check '  which may say something else' sibling 'nvcf.features.streaming: false'
kubectl -n nvcf delete configmap "$deployment-remote-config-ncp" >/dev/null
check 'remote config: something else' patch_configmap "$deployment-remote-config" nvcf-api.yaml \
    'nvcf: {features: {streaming: false}}'
check 'a ConfigMap that is none of ours' kubectl -n nvcf create configmap unrelated \
    --from-literal="${registry}_DOCKER_HOSTNAME=mirror.corp.example"
check "another program's -env" kubectl -n nvcf create configmap gateway-env \
    --from-literal="${registry}_DOCKER_HOSTNAME=mirror.corp.example"
renamed() { # LABEL DATA, the same ConfigMap as fullnameOverride may call it
    kubectl apply -f - <<END
apiVersion: v1
kind: ConfigMap
metadata: {name: functions-env, namespace: nvcf, labels: {$1}}
data: {LOGGING_LEVEL_WEB: info, $2}
END
}
check "the API's, called otherwise, known by its label" renamed 'app.kubernetes.io/name: helm-nvcf-api' 'A: b'
expect_refused '  a collision' renamed 'app.kubernetes.io/name: helm-nvcf-api' "${registry}_DOCKER_HOSTNAME: mirror.corp.example"
expect_refused '  and the label taken off as well' renamed 'note: none' "${registry}_DOCKER_HOSTNAME: mirror.corp.example"
expect_text '  by name' BuiltinCollision DOCKER
kubectl -n nvcf delete configmap gateway-env functions-env >/dev/null

# ---- the policy ConfigMap
check 'the policy ConfigMap: a good one' policy_configmap <"$E2E_TMP/policy.yaml"
expect_refused 'the policy ConfigMap: a built-in as a key' policy_configmap \
    < <(sed 's/GHCR/DOCKER/' "$E2E_TMP/policy.yaml")
expect_text '  by name' DOCKER
expect_refused 'the policy ConfigMap: a field that does not exist' policy_configmap \
    < <(cat "$E2E_TMP/policy.yaml" && echo 'colour: green')
expect_text '  by name, line and column' colour 'line 7, column 1'
kubectl -n "$hook_namespace" delete configmap nvcf-registry-policy >/dev/null

# ---- what operators do
check 'kubectl scale' kubectl -n nvcf scale "deployment/$deployment" --replicas=1
sets=$(replica_sets)
check 'kubectl rollout restart' kubectl -n nvcf rollout restart "deployment/$deployment"
check '  runs' rolled_out
same '  once' $((sets + 1)) "$(replica_sets)"
check 'kubectl rollout undo' kubectl -n nvcf rollout undo "deployment/$deployment"
check '  runs' rolled_out
check '  and the registry is still there' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
sets=$(replica_sets)
check 'kubectl annotate' kubectl -n nvcf annotate deployment "$deployment" note=hello
same '  rolls nothing' "$sets" "$(replica_sets)"
check 'kubectl label' kubectl -n nvcf label deployment "$deployment" tier=control

# ---- apply, of a manifest of its own
check 'kubectl apply, client side' kubectl apply -n nvcf -f "$manifest"
deployment=nvcf-api
check '  runs' rolled_out
check '  no variable twice' no_duplicate_env
check '  kubectl diff sees no difference' undisturbed kubectl diff -n nvcf -f "$manifest"
before=$(generation)
check '  again' kubectl apply -n nvcf -f "$manifest"
same '  changes nothing' "$before" "$(generation)"
check '  and away' kubectl delete -n nvcf -f "$manifest"
check 'kubectl apply, server side' kubectl apply --server-side -n nvcf -f "$manifest"
check '  runs' rolled_out
check '  with the registry' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check '  kubectl diff --server-side sees none' undisturbed kubectl diff --server-side -n nvcf -f "$manifest"
before=$(generation)
check '  again' kubectl apply --server-side -n nvcf -f "$manifest"
same '  changes nothing' "$before" "$(generation)"
expect_refused '  a bad manifest, server side' bash -c "sed 's/GHCR_HOSTNAME/DOCKER_HOSTNAME/' '$manifest' |
    kubectl apply --server-side -n nvcf -f -"
check '  and away' kubectl delete -n nvcf -f "$manifest"

# ---- never in the way: what was bad before the webhook came
deployment='api-helm-nvcf-api' # quoted: shellcheck would see a difference
hook_unconfig
wait_for 10 'the webhook to be forgotten' set_env "${registry}_DOCKER_HOSTNAME=mirror.corp.example"
hook_config Fail
wait_for 10 'the API server to call the webhook' hook_called
check 'annotating a Deployment that is bad already' kubectl -n nvcf annotate deployment \
    "$deployment" note=bad --overwrite
expect_text '  with a warning' 'Warning:' DOCKER
check 'a finalizer on it' kubectl -n nvcf patch deployment "$deployment" --type merge \
    -p '{"metadata":{"finalizers":["e2e.invalid/hold"]}}'
check 'kubectl delete' kubectl -n nvcf delete deployment "$deployment" --wait=false
check 'and the finalizer goes' kubectl -n nvcf patch deployment "$deployment" --type merge \
    -p '{"metadata":{"finalizers":null}}'
gone() { ! kubectl -n nvcf get deployment "$deployment"; }
check 'and with it the Deployment' wait_for 10 'the end of the Deployment' gone
