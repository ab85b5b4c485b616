# shellcheck shell=bash
# helms: 4
# The webhook as a citizen of the cluster: the policy in its ConfigMap, the -env ConfigMaps
# known by watch, an account with no more rights than it may have. What a Deployment's
# review can only know through a ConfigMap is proven here.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

ghcr='GHCR=ghcr.io=GitHub Container Registry'
mapfile -t flags < <(key_flags GHCR ghcr.io 'GitHub Container Registry')
hook_unconfig
policy_gone

if ! hook_start_live; then
    skip 'the live webhook' "$(tail -n 1 "$E2E_TMP/log/webhook.log" | cut -c1-160)"
    exit 0
fi

# ---- no policy yet
check 'the API is there before the webhook' api_install
not_ready() { ! hook_ready; }
check 'without a policy it is not ready' not_ready
hook_config Fail
dead() { ! hook_canary >/dev/null; }
check 'and never says yes' wait_for 10 'a refusal' dead
run kubectl -n nvcf annotate deployment "$deployment" note=1
same 'to a change of the Deployment' 1 "$RC"
hook_unconfig

# ---- the policy arrives
policy_text -- "$ghcr" | policy_configmap >/dev/null
check 'with a policy it is ready' wait_for 5 'readiness' hook_ready
hook_config Fail
check 'and is called' wait_for 10 'the API server to call the webhook' hook_called
check 'an upgrade is injected' api_upgrade --set api.awsRegion=eu-west-1
check '  by the watched policy' env_is "${registry}_GHCR_HOSTNAME" ghcr.io

took=()
for i in {1..11}; do
    before=$(policy_hash)
    text=$(policy_text -- "$ghcr" "INTERNAL=registry$i.corp.example=Corporate" | jq -Rs '{data: {"policy.yaml": .}}')
    start=$(date +%s%3N)
    kubectl -n "$hook_namespace" patch configmap nvcf-registry-policy --type merge -p "$text" >/dev/null
    wait_for 5 'the new policy' policy_hash_is_not "$before" || break
    took+=($(($(date +%s%3N) - start)))
done
mapfile -t took < <(printf '%s\n' "${took[@]}" | sort -n)
echo "          from kubectl patch to in force, kubectl's own time included: median ${took[5]:-?} ms, slowest ${took[10]:-?} ms"
check 'an edited policy is in force within a second (median of 11)' [ "${took[5]:-9999}" -lt 1000 ]

# ---- what only the -env ConfigMap says
set_env() { kubectl -n nvcf set env "deployment/$deployment" -c helm-nvcf-api "$@"; }
check 'GHCR through Helm values' api_upgrade "${flags[@]}"
expect_no_text '  without a warning' warnings.go
policy_in_force < <(policy_text 'mode: Check' -- "$ghcr")
check 'Check: the ConfigMap alone is enough' set_env "${registry}_GHCR_NAME-" "${registry}_GHCR_HOSTNAME-"
check '  and it is not in env' env_absent "${registry}_GHCR_HOSTNAME"

# ---- the race: Helm writes the ConfigMap and, within milliseconds, the Deployment
env_configmap() { # JSON of data
    kubectl -n nvcf get configmap "$deployment-env" -o json |
        jq --argjson d "$1" '.data = $d' | kubectl replace -f -
}
good="{\"${registry}_GHCR_NAME\": \"GitHub Container Registry\", \"${registry}_GHCR_HOSTNAME\": \"ghcr.io\"}"
refused=0
missed=0
for i in {1..10}; do
    env_configmap '{"OTHER": "1"}' >/dev/null
    sleep 0.3
    ! set_env "BEFORE=$i" >/dev/null 2>&1 || missed=$((missed + 1))
    env_configmap "$good" >/dev/null
    set_env "AFTER=$i" >/dev/null 2>&1 || refused=$((refused + 1))
done
same 'ten times without the ConfigMap entries: refused' 0 "$missed"
same 'ten times just after they were written: allowed' 0 "$refused"

refused=
for i in {1..5}; do
    env_configmap '{"OTHER": "1"}' >/dev/null
    sleep 0.3
    run api_reset --force-conflicts "${flags[@]}" --set-string "api.env.ROUND=$i"
    [ "$RC" -eq 0 ] || refused+="$i: $OUT"
done
same 'five times by Helm, both in one upgrade: allowed' '' "$refused"

policy_in_force < <(policy_text 'unlisted: Remove' -- "$ghcr")
mapfile -t gitlab < <(key_flags GITLAB registry.gitlab.com GitLab)
expect_refused 'unlisted Remove: what comes from a ConfigMap cannot be taken out' api_upgrade "${gitlab[@]}"
expect_text '  and it says what to unset' GITLAB 'Helm value'

# ---- a bad policy
expect_refused 'a bad policy is refused at kubectl apply' policy_configmap \
    < <(policy_text -- 'DOCKER=mirror.corp.example=Mirror')
hash=$(policy_hash)
hook_unconfig
check 'a bad policy that slips past' wait_for 10 'it to be stored' policy_configmap \
    < <(policy_text -- 'DOCKER=mirror.corp.example=Mirror')
sleep 1
same '  does not replace the good one' "$hash" "$(policy_hash)"
policy_gone
sleep 1
same 'nor does its end' "$hash" "$(policy_hash)"
