# shellcheck shell=bash
# Scenario 2, the policy alone: no Helm value speaks of a registry. A key comes with the
# next update after the policy names it, and goes with the next after it does not.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
check 'a new install is injected' api_install
check 'and runs' rolled_out
check 'with the registry' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
same 'in one roll-out' 1 "$(replica_sets)"
check 'the user can see who did it' annotation nvcf-registry-webhook/injected

policy -- 'GHCR=ghcr.io=GitHub Container Registry' 'INTERNAL=registry.corp.example=Corporate Registry'
same 'a new policy alone changes nothing' 1 "$(replica_sets)"
check 'the next upgrade' api_upgrade --set api.awsRegion=eu-west-1
check 'runs' rolled_out
check 'brings the new key' env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example
check 'and keeps the old one' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
same 'in one roll-out' 2 "$(replica_sets)"

policy -- 'INTERNAL=registry.corp.example=Corporate Registry'
check 'an upgrade after GHCR left the policy' api_upgrade --set api.awsRegion=eu-west-2
check 'runs' rolled_out
check 'has taken NAME out' env_absent "${registry}_GHCR_NAME"
check 'has taken HOSTNAME out' env_absent "${registry}_GHCR_HOSTNAME"
check 'and left the other key' env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example
run annotation nvcf-registry-webhook/injected
expect_no_text 'the record no longer names GHCR' GHCR

check 'helm rollback to the first revision' helm -n nvcf rollback api 1
check 'runs' rolled_out
check 'the rollback of the values' env_is AWS_REGION us-west-2
check 'does not bring GHCR back' env_absent "${registry}_GHCR_NAME"
check 'what the policy lists is there' env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example

policy --
check 'an upgrade after the policy was emptied' api_upgrade --set api.awsRegion=eu-west-3
check 'runs' rolled_out
same 'leaves what the chart wrote, as it wrote it' \
    '["POD_IP","AWS_REGION","SPRING_PROFILES_ACTIVE","REMOTE_CONFIG_ENABLED","REMOTE_CONFIG_NAME"]' \
    "$(env_names)"
check 'helm uninstall' helm -n nvcf uninstall api --wait --timeout 60s
check 'leaves nothing' wait_for 20 'an empty namespace' nothing_left
