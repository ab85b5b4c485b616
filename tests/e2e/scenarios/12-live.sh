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

# ---- how long from kubectl apply to the first admission that is decided by it
proxy_start
canary_json canary >"$E2E_TMP/canary.json"
decided_by() { # HOSTNAME: an admission that is sent now
    curl -fsS -H 'Content-Type: application/json' --data-binary "@$E2E_TMP/canary.json" \
        "$api/apis/apps/v1/namespaces/nvcf/deployments?dryRun=All" 2>/dev/null | grep -q "\"value\":\s*\"$1\""
}
took=() kubectls=() late=()
for i in {1..20}; do
    policy_text -- "$ghcr" "INTERNAL=registry$i.corp.example=Corporate" >"$E2E_TMP/policy.$i"
    kubectl -n "$hook_namespace" create configmap nvcf-registry-policy --dry-run=client -o yaml \
        --from-file=policy.yaml="$E2E_TMP/policy.$i" >"$E2E_TMP/policy.$i.yaml"
    start=$(date +%s%3N)
    { kubectl apply -f "$E2E_TMP/policy.$i.yaml" >/dev/null && echo $(($(date +%s%3N) - start)) >"$E2E_TMP/kubectl.$i"; } &
    applying=$!
    for ((asked = 0; asked < 500; asked++)); do ! decided_by "registry$i.corp.example" || break; done
    took+=($(($(date +%s%3N) - start)))
    wait "$applying" || true
    kubectls+=("$(cat "$E2E_TMP/kubectl.$i" || echo 0)")
    late+=($((took[-1] - kubectls[-1])))
done
mapfile -t took < <(printf '%s\n' "${took[@]}" | sort -n)
mapfile -t late < <(printf '%s\n' "${late[@]}" | sort -n)
mapfile -t kubectls < <(printf '%s\n' "${kubectls[@]}" | sort -n)
echo "          from kubectl apply to the first admission decided by it: median of 20 $(((took[9] + took[10]) / 2)) ms," \
    "slowest ${took[19]} ms; kubectl itself took ${kubectls[10]} ms, and the slowest came ${late[19]} ms after its end"
check 'each of 20 policies decides within a second of kubectl apply' [ "${late[19]}" -le 1000 ]

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

# ---- the same with a cache that is late by seconds: what the API server sends to the
# connections that are open is held back, new ones pass
if ! command -v python3 >/dev/null; then
    skip 'a cache that is late' 'python3 is not installed'
else
    late_port=$(free_port)
    spawn late python3 "$E2E_LIB/late.py" "$late_port" "$(kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.server}')" "$E2E_TMP/late"
    cp "$E2E_TMP/webhook.kubeconfig" "$E2E_TMP/straight.kubeconfig"
    jq --arg s "https://127.0.0.1:$late_port" '.clusters[0].cluster |= . + {server: $s, "tls-server-name": "kubernetes"}' \
        "$E2E_TMP/straight.kubeconfig" >"$E2E_TMP/webhook.kubeconfig"
    env_configmap '{"OTHER": "1"}' >/dev/null
    hook_stop
    check 'through a proxy that can be late' hook_start_live
    check '  it is ready' wait_for 10 'readiness' hook_ready
    check '  and called' wait_for 10 'the API server to call the webhook' hook_called
    echo old >"$E2E_TMP/late" # connections that are open now: the watches
    expect_refused '  without the ConfigMap entries: refused' set_env LATE=0
    refused=0
    for i in {1..5}; do
        env_configmap "$good" >/dev/null
        set_env "LATE=$i" >/dev/null 2>&1 || refused=$((refused + 1))
        env_configmap '{"OTHER": "1"}' >/dev/null
    done
    same '  five times just written, the cache being late: allowed' 0 "$refused"
    env_configmap "$good" >/dev/null
    echo all >"$E2E_TMP/late"
    expect_refused '  nothing can be confirmed: what is cached decides' set_env LATE=6
    slowest=$(grep ' admission ' "$E2E_TMP/log/webhook.log" | tail -n 3 | sed -n 's/.*duration_us=//p' | sort -n | tail -n 1)
    echo "          the answer took $((slowest / 1000)) ms"
    check '  after half a second of trying' [ "$slowest" -ge 300000 ]
    check '  and no more' [ "$slowest" -le 900000 ]
    echo no >"$E2E_TMP/late"
    late_over() { set_env LATE=7; }
    check '  and when the cache has caught up: allowed' wait_for 10 'the cache' late_over
    hook_stop
    mv "$E2E_TMP/straight.kubeconfig" "$E2E_TMP/webhook.kubeconfig"
    check 'and straight again' hook_start_live
    check '  it is ready' wait_for 10 'readiness' hook_ready
    check '  and called' wait_for 10 'the API server to call the webhook' hook_called
fi

policy_in_force < <(policy_text 'unlisted: Remove' -- "$ghcr")
mapfile -t gitlab < <(key_flags GITLAB registry.gitlab.com GitLab)
expect_refused 'unlisted Remove: what comes from a ConfigMap cannot be taken out' api_upgrade "${gitlab[@]}"
expect_text '  and it says what to unset' GITLAB 'Helm value'

# ---- a bad policy
expect_refused 'a bad policy is refused at kubectl apply' policy_configmap \
    < <(policy_text -- 'DOCKER=mirror.corp.example=Mirror')
hash=$(policy_hash)
reloads() { curl -fsS "http://127.0.0.1:$E2E_HOOK_METRICS/metrics" | sed -n "s/^nvcf_registry_webhook_policy_reloads_total{result=\"$1\"} //p"; }
failures=$(reloads failure)
told() { # TEXT: an Event on the policy's ConfigMap says so
    kubectl -n "$hook_namespace" get events.events.k8s.io -o json | jq -e --arg t "$1" '.items[] |
        select(.regarding.name == "nvcf-registry-policy" and .reason == "Rejected" and .type == "Warning" and (.note | contains($t)))'
}
hook_unconfig
check 'a bad policy that slips past' wait_for 10 'it to be stored' policy_configmap \
    < <(policy_text -- 'DOCKER=mirror.corp.example=Mirror')
sleep 1
same '  does not replace the good one' "$hash" "$(policy_hash)"
run hook_ready
same '  it stays ready' 0 "$RC"
expect_text '  and readiness says so' 'was not taken'
same '  and the metrics' $((failures + 1)) "$(reloads failure)"
check '  and an Event on the ConfigMap, with the reason' wait_for 5 'the Event' told 'DOCKER'
policy_gone
sleep 1
same 'nor does its end' "$hash" "$(policy_hash)"
run hook_ready
expect_text '  which readiness says too' 'was not taken'
same '  and the metrics' $((failures + 2)) "$(reloads failure)"
check '  and an Event' wait_for 5 'the Event' told 'the policy is gone'
