# shellcheck shell=bash
# helms: 4
# A release that Helm 3 made goes on with Helm 4: client-side first, as Helm 4 does by
# itself, then server-side, which changes who owns every field. What the webhook injected
# has no owner and has to outlive all of it.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

helm3() { "$E2E_BIN/helm3.d/helm" "$@"; }
mapfile -t flags < <(key_flags GHCR ghcr.io 'GitHub Container Registry')

policy -- 'GHCR=ghcr.io=GitHub Container Registry' 'INTERNAL=registry.corp.example=Corporate Registry'
hook_up
check 'Helm 3 installs' helm3 install api "$(chart helm-nvcf-api)" -n nvcf
check 'and upgrades as the guide says' helm3 upgrade api "$(chart helm-nvcf-api)" -n nvcf \
    --reuse-values "${flags[@]}"
check 'and runs' rolled_out
names=$(env_names)
before=$(generation)
sets=$(replica_sets)

check 'Helm 4 upgrades the same, client side by itself' api_upgrade
same 'same generation' "$before" "$(generation)"
check 'Helm 4 goes over to server side' api_upgrade --server-side=true --force-conflicts
same 'the same variables in the same order' "$names" "$(env_names)"
same 'no new ReplicaSet' "$sets" "$(replica_sets)"
check 'and again' api_upgrade --server-side=true
same 'the same variables' "$names" "$(env_names)"
same 'no new ReplicaSet either' "$sets" "$(replica_sets)"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
check 'a key leaves the policy' api_upgrade --set-string api.awsRegion=eu-west-1
check 'and the Deployment' env_absent "${registry}_INTERNAL_HOSTNAME"
check 'Helm 4 rolls back to what Helm 3 made' helm -n nvcf rollback api 2
check 'runs' rolled_out
check 'with the registry' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check 'without the key that left' env_absent "${registry}_INTERNAL_HOSTNAME"
check 'no variable twice' no_duplicate_env
