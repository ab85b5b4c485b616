# shellcheck shell=bash
# Scenario 3, collisions through Helm values. They arrive in the -env ConfigMap, never in
# `env`; each is refused at `helm upgrade`, on the user's terminal, and the next upgrade
# without it repairs the release.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
check 'the API is there' api_install
hook_up

# collision WHAT FINDING TEXT NAME=VALUE…: TEXT has to be in the message
collision() {
    local what=$1 finding=$2 text=$3 pair flags=()
    shift 3
    for pair in "$@"; do
        flags+=(--set-string "api.env.${registry}_$pair")
    done
    expect_refused "$what" api_upgrade "${flags[@]}"
    expect_text '  naming the finding and the culprit' "$finding" "$text"
}

collision 'Docker Hub taken over' BuiltinCollision DOCKER \
    'DOCKER_NAME=Mirror' 'DOCKER_HOSTNAME=mirror.corp.example'
collision 'Docker Hub by its host alone' BuiltinCollision DOCKER \
    'DOCKER_HOSTNAME=mirror.corp.example'
collision 'ECR Public in the spelling without a dash' BuiltinCollision ECRPUBLIC \
    'ECRPUBLIC_HOSTNAME=mirror.corp.example' 'ECRPUBLIC_NAME=Mirror'
collision 'NGC' BuiltinCollision NGC 'NGC_HOSTNAME=nvcr.corp.example'
collision 'a second docker.io' DuplicateHostname docker.io \
    'HUB_NAME=My Hub' 'HUB_HOSTNAME=docker.io'
collision 'the name of a built-in' DuplicateName 'Docker Hub Registry' \
    'HUB_NAME=Docker Hub Registry' 'HUB_HOSTNAME=hub.corp.example'
collision "the policy's host under another key" DuplicateHostname ghcr.io \
    'OTHER_NAME=Other' 'OTHER_HOSTNAME=ghcr.io'
collision 'a host without a name' IncompleteRegistry GITLAB \
    'GITLAB_HOSTNAME=registry.gitlab.com'
collision 'a blank name' IncompleteRegistry GITLAB \
    'GITLAB_NAME= ' 'GITLAB_HOSTNAME=registry.gitlab.com'
collision 'an underscore in the key' InvalidKey MY_REG \
    'MY_REG_NAME=Mine' 'MY_REG_HOSTNAME=registry.corp.example'
collision 'a port' UnmatchableHostname registry.corp.example \
    'INTERNAL_NAME=Internal' 'INTERNAL_HOSTNAME=registry.corp.example:5000'
collision 'a scheme' UnmatchableHostname https \
    'INTERNAL_NAME=Internal' 'INTERNAL_HOSTNAME=https://registry.corp.example'
collision 'a host that becomes NGC' UnmatchableHostname canary.nvcr.io \
    'CANARY_NAME=Canary' 'CANARY_HOSTNAME=canary.nvcr.io'

run helm -n nvcf history api
same 'nothing of it reached the cluster' 1 "$(replica_sets)"
check 'the ConfigMap was never written' bash -c "! kubectl -n nvcf get configmap $deployment-env"
check 'the next upgrade repairs the release' api_upgrade \
    --set-string "api.env.LOGGING_LEVEL_ROOT=info"
check 'and rolls out' rolled_out
check 'it is deployed' bash -c 'helm -n nvcf status api -o json | jq -e ".info.status == \"deployed\""'
check 'tuning of a built-in is no collision' api_upgrade \
    --set-string "api.env.${registry}_NGC_CALLTIMEOUT=30s" \
    --set-string "api.env.${registry}_NGC_CREDENTIALVALIDATION_ENABLED=false"
check 'switching the native Harbor on is none either' api_upgrade \
    --set-string "api.env.${registry}_HARBOR_NAME=Harbor" \
    --set-string "api.env.${registry}_HARBOR_HOSTNAME=harbor.corp.example"

# Helm goes on with the other objects when one that exists already is refused: the
# Deployment gets its new checksum and rolls, with the ConfigMap as it was.
expect_refused 'an upgrade of an existing ConfigMap is judged as well' api_upgrade \
    --set-string "api.env.${registry}_ACR_HOSTNAME=acr.corp.example"
expect_text '  by name' BuiltinCollision ACR
check '  the ConfigMap is as it was' bash -c "kubectl -n nvcf get configmap $deployment-env -o json |
    jq -e '(.data | has(\"${registry}_HARBOR_NAME\")) and (.data | has(\"${registry}_ACR_HOSTNAME\") | not)'"
check '  the pods run' rolled_out
check '  the next upgrade repairs the release' api_upgrade --set-string api.env.LOGGING_LEVEL_ROOT=warn
check '  and it is deployed' bash -c 'helm -n nvcf status api -o json | jq -e ".info.status == \"deployed\""'
back=--rollback-on-failure
[ "$E2E_HELM" = 4 ] || back=--atomic
expect_refused "with $back Helm goes back by itself" api_upgrade "$back" --timeout 60s \
    --set-string "api.env.${registry}_ACR_HOSTNAME=acr.corp.example"
check '  to a release that is deployed' bash -c 'helm -n nvcf status api -o json | jq -e ".info.status == \"deployed\""'
check '  whose pods run' rolled_out

expect_refused 'a first install, too' helm install second "$(chart helm-nvcf-api)" -n nvcf \
    --set-string "api.env.${registry}_DOCKER_HOSTNAME=mirror.corp.example"
helm -n nvcf uninstall second >/dev/null 2>&1 || true
