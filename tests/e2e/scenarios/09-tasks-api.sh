# shellcheck shell=bash
# Scenario 9: scenarios 1 to 3 for the tasks API (nvct-api): prefix NVCT, values under
# `nvctApi.env`, a chart of its own.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

deployment=tasks-helm-nvcf-nvct-api
mapfile -t flags < <(key_flags GHCR ghcr.io GitHub "$task_registry" nvctApi.env)
both='targets:
  - namespace: nvcf
    selector: {app.kubernetes.io/name: helm-nvcf-api}
    container: helm-nvcf-api
    prefix: NVCF
  - namespace: nvcf
    selector: {app.kubernetes.io/name: helm-nvcf-nvct-api}
    container: helm-nvcf-nvct-api
    prefix: NVCT'

# ---- 1: the guide
check 'the API is there before the webhook' tasks_install
check 'and runs' rolled_out
policy "$both" -- 'GHCR=ghcr.io=GitHub'
hook_up
check "the guide's upgrade is allowed" tasks_upgrade "${flags[@]}"
check 'the roll-out finishes' rolled_out
check 'NAME is in the pod template' env_is "${task_registry}_GHCR_NAME" GitHub
check 'HOSTNAME is in the pod template' env_is "${task_registry}_GHCR_HOSTNAME" ghcr.io
check 'and none of the functions API' env_absent "${registry}_GHCR_HOSTNAME"
same 'one roll-out' 2 "$(replica_sets)"
before=$(generation)
check 'a second, identical upgrade' tasks_upgrade "${flags[@]}"
same 'changes nothing' "$before" "$(generation)"

# ---- both together
check 'the functions API beside it' api_install
deployment='api-helm-nvcf-api' # quoted: shellcheck would see a difference
check '  gets its own variables' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check '  and none of the tasks API' env_absent "${task_registry}_GHCR_HOSTNAME"
deployment=tasks-helm-nvcf-nvct-api

# ---- 2: the policy alone
policy "$both" -- 'INTERNAL=registry.corp.example=Corporate'
check 'the next upgrade' tasks_reset --set nvctApi.awsRegion=eu-west-1
check 'runs' rolled_out
check 'brings the new key' env_is "${task_registry}_INTERNAL_HOSTNAME" registry.corp.example
check 'takes the old one out' env_absent "${task_registry}_GHCR_HOSTNAME"
check 'helm rollback to the first revision' helm -n nvcf rollback tasks 1
check '  runs' rolled_out
check '  what the policy lists is there' env_is "${task_registry}_INTERNAL_HOSTNAME" registry.corp.example
check '  what it lists no more is not' env_absent "${task_registry}_GHCR_HOSTNAME"

# ---- 3: collisions
collision() { # WHAT FINDING TEXT NAME=VALUE…
    local what=$1 finding=$2 text=$3 pair values=()
    shift 3
    for pair in "$@"; do
        values+=(--set-string "nvctApi.env.${task_registry}_$pair")
    done
    expect_refused "$what" tasks_upgrade "${values[@]}"
    expect_text '  naming the finding and the culprit' "$finding" "$text"
}
collision 'Docker Hub taken over' BuiltinCollision DOCKER 'DOCKER_NAME=Mirror' 'DOCKER_HOSTNAME=mirror.corp.example'
collision 'ECR Public in the spelling without a dash' BuiltinCollision ECRPUBLIC \
    'ECRPUBLIC_NAME=Mirror' 'ECRPUBLIC_HOSTNAME=mirror.corp.example'
collision 'a second docker.io' DuplicateHostname docker.io 'HUB_NAME=Hub' 'HUB_HOSTNAME=docker.io'
collision 'the name of a built-in' DuplicateName 'Docker Hub Registry' \
    'HUB_NAME=Docker Hub Registry' 'HUB_HOSTNAME=hub.corp.example'
collision 'a host without a name' IncompleteRegistry GITLAB 'GITLAB_HOSTNAME=registry.gitlab.com'
collision 'an underscore in the key' InvalidKey MY_REG 'MY_REG_NAME=Mine' 'MY_REG_HOSTNAME=reg.corp.example'
collision 'a port' UnmatchableHostname registry.corp.example \
    'CORP_NAME=Corp' 'CORP_HOSTNAME=registry.corp.example:5000'
expect_refused 'its remote configuration' kubectl -n nvcf patch configmap "$deployment-remote-config" \
    --type merge -p '{"data":{"nvct-api.yaml":"nvct: {registries: {recognized: {container: {docker: {hostname: mirror.corp.example}}}}}"}}'
expect_text '  by name' docker
check 'the next upgrade repairs the release' tasks_upgrade --set nvctApi.awsRegion=eu-west-2
check 'and rolls out' rolled_out
check 'helm uninstall' helm -n nvcf uninstall tasks
