# shellcheck shell=bash
# Scenario 5: Check mode, Audit enforcement and each value of `unlisted`, seen through Helm.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

ghcr='GHCR=ghcr.io=GitHub Container Registry'
set_env() { kubectl -n nvcf set env "deployment/$deployment" -c helm-nvcf-api "$@"; }
gitlab=("${registry}_GITLAB_NAME=GitLab" "${registry}_GITLAB_HOSTNAME=registry.gitlab.com")
mapfile -t gitlab_flags < <(key_flags GITLAB registry.gitlab.com GitLab)

# ---- Check
policy 'mode: Check' -- "$ghcr"
hook_up
expect_refused 'Check: an install without the registry' api_install
expect_text '  says what is missing' MissingRegistry GHCR
helm -n nvcf uninstall api >/dev/null 2>&1 || true
policy 'mode: Check' --
check 'Check: nothing listed, nothing missing' api_install
same '  nothing changed' \
    '["POD_IP","AWS_REGION","SPRING_PROFILES_ACTIVE","REMOTE_CONFIG_ENABLED","REMOTE_CONFIG_NAME"]' \
    "$(env_names)"
policy 'mode: Check' -- "$ghcr"
check 'Check: both variables as the policy says' set_env \
    "${registry}_GHCR_NAME=GitHub Container Registry" "${registry}_GHCR_HOSTNAME=ghcr.io"
expect_refused 'Check: another value' set_env "${registry}_GHCR_HOSTNAME=mirror.example"
expect_text '  says so' ValueConflict GHCR
check 'Check: an untouched Deployment is not denied' kubectl -n nvcf annotate deployment \
    "$deployment" note=1

# ---- Audit
policy 'enforcement: Audit' -- "$ghcr"
check 'Audit: a collision through Helm passes' api_upgrade \
    --set-string "api.env.${registry}_DOCKER_HOSTNAME=mirror.corp.example"
expect_text '  with a warning on the terminal' BuiltinCollision DOCKER
check 'Audit: set back' api_reset
check 'Audit: nothing is injected' set_env "${registry}_GHCR_NAME-" "${registry}_GHCR_HOSTNAME-"
check '  NAME stays away' env_absent "${registry}_GHCR_NAME"

# ---- unlisted
policy 'unlisted: Warn' -- "$ghcr"
check 'unlisted Warn: passes through Helm' api_upgrade "${gitlab_flags[@]}"
expect_text '  with a warning on the terminal' UnlistedRegistry GITLAB
check 'unlisted Warn: passes in env' set_env "${gitlab[@]}"
expect_text '  with a warning' GITLAB

policy 'unlisted: Allow' -- "$ghcr"
check 'unlisted Allow: passes' set_env "${gitlab[@]}" OTHER=1
expect_no_text '  without a word' GITLAB

policy 'unlisted: Remove' -- "$ghcr"
check 'unlisted Remove: the next update of env' set_env OTHER=2
check '  has taken NAME out' env_absent "${registry}_GITLAB_NAME"
check '  has taken HOSTNAME out' env_absent "${registry}_GITLAB_HOSTNAME"

policy 'unlisted: Deny' -- "$ghcr"
expect_refused 'unlisted Deny: refused in env' set_env "${gitlab[@]}"
expect_text '  by name' UnlistedRegistry GITLAB
mapfile -t quay_flags < <(key_flags QUAY quay.io Quay)
expect_refused 'unlisted Deny: refused through Helm' api_upgrade "${quay_flags[@]}"
expect_text '  by name' UnlistedRegistry QUAY

# ---- opaque sources
policy 'opaqueSources: Warn' 'unlisted: Allow' --
check 'opaque Warn: SPRING_APPLICATION_JSON passes' set_env \
    'SPRING_APPLICATION_JSON={"server":{"port":8081}}'
policy 'opaqueSources: Deny' 'unlisted: Allow' --
from_secret() {
    kubectl -n nvcf patch deployment "$deployment" --type json -p '[{"op": "add",
        "path": "/spec/template/spec/containers/0/envFrom",
        "value": [{"secretRef": {"name": "unknown", "optional": true}}]}]'
}
expect_refused 'opaque Deny: a Secret as the source' from_secret
expect_text '  by name' OpaqueSource unknown
policy 'opaqueSources: Allow' 'unlisted: Allow' --
check 'opaque Allow: passes' from_secret
