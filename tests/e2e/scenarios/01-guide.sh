# shellcheck shell=bash
# Scenario 1, the guide end to end: the API runs, the webhook comes, the admin adds GHCR by
# `helm upgrade --set-string api.env.…` as NVIDIA's guide says.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

ghcr_name='GitHub Container Registry'
mapfile -t flags < <(key_flags GHCR ghcr.io "$ghcr_name")

check 'the API is there before the webhook' api_install
check 'and runs' rolled_out
check 'the webhook comes up' hook_up_live < <(policy_text -- "GHCR=ghcr.io=$ghcr_name")
same 'its coming rolls nothing' 1 "$(replica_sets)"

check "the guide's upgrade is allowed" api_upgrade "${flags[@]}"
expect_no_text 'without a warning' warnings.go
check 'the roll-out finishes' rolled_out
check 'NAME is in the pod template' env_is "${registry}_GHCR_NAME" "$ghcr_name"
check 'HOSTNAME is in the pod template' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check 'no variable twice' no_duplicate_env
same 'one roll-out, not two' 2 "$(replica_sets)"
check 'the pods run with it' bash -c "kubectl -n nvcf get pods -l app.kubernetes.io/name=helm-nvcf-api -o json |
    jq -e '[.items[] | select(.metadata.deletionTimestamp == null) |
        any(.spec.containers[0].env[]; .name == \"${registry}_GHCR_HOSTNAME\")] | length > 0 and all'"
check 'what was injected is recorded' annotation nvcf-registry-webhook/injected
expect_text 'by name' GHCR
check 'the policy is recorded by hash' annotation nvcf-registry-webhook/policy
check 'the pod template carries none of our annotations' bash -c "kubectl -n nvcf get deployment $deployment -o json |
    jq -e '.spec.template.metadata.annotations | keys | all(startswith(\"nvcf-registry-webhook\") | not)'"

before=$(generation)
names=$(env_names)
check 'a second, identical upgrade' api_upgrade "${flags[@]}"
check 'is rolled out at once' rolled_out
same 'same generation' "$before" "$(generation)"
same 'no new ReplicaSet' 2 "$(replica_sets)"
same 'the same variables in the same order' "$names" "$(env_names)"
