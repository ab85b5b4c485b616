# shellcheck shell=bash
# helms: 4
# The API server dies and comes back, then the webhook's own rights are taken away: what was
# known stays known, nothing is allowed that should not be, and it recovers by itself.
# E2E_AWAY=180 lets it hang for minutes.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

if [ -n "${E2E_KUBECONFIG:-}" ]; then
    skip 'the API server dies' 'another cluster is used, and it is not this suite that may stop it'
    exit 0
fi
ghcr='GHCR=ghcr.io=GitHub Container Registry'
policy_text -- "$ghcr" | policy_configmap >/dev/null
if ! hook_start_live; then
    skip 'the API server dies' "$(tail -n 1 "$E2E_TMP/log/webhook.log" | cut -c1-160)"
    exit 0
fi
wait_for 10 'readiness' hook_ready
hook_config Fail
wait_for 10 'the API server to call the webhook' hook_called
check 'the API is there' api_install
hash=$(policy_hash)

up() { kubectl get --raw /readyz; }
apiserver=$(cat "$E2E_TMP/kube-apiserver.pid")
# direct VARIABLE: what the webhook answers to a review with that variable, no API server in between
direct() {
    jq --arg v "$1" '.request.object.spec.template.spec.containers[0].env += [{name: $v, value: "mirror.corp.example"}]' \
        "$E2E_ROOT/recorded/helm3-install.02-mutate-CREATE-Deployment.json" |
        curl -fsS --max-time 5 --cacert "$E2E_TMP/pki/hook-ca.crt" -H 'Content-Type: application/json' \
            --data-binary @- "https://$E2E_HOOK_IP:$E2E_HOOK_PORT/mutate"
}
answers() { direct "$1" | jq -e ".response.allowed == $2 and (.response.patch == null) == ($2 | not)"; }
kill -STOP "$apiserver"
sleep "${E2E_AWAY:-3}"
check 'an API server that hangs: it injects' answers SOMETHING true
check '  and refuses' answers "${registry}_DOCKER_HOSTNAME" false
check 'an API server that hangs: the webhook still answers' hook_listens "$E2E_HOOK_METRICS"
check '  and is ready with what it knows' hook_ready
kill -CONT "$apiserver"
back=$(date +%s%3N)
check '  the API server is back' wait_for 30 'the API server' up
check '  and is served' wait_for 10 'the API server to call the webhook' hook_called
check '  a change is injected' api_upgrade --set-string api.awsRegion=eu-west-1
same '  the policy is the same' "$hash" "$(policy_hash)"
before=$hash
policy_text -- "$ghcr" 'INTERNAL=registry.corp.example=Corporate' | policy_configmap >/dev/null
wait_for 70 'the new policy' policy_hash_is_not "$before" || true
echo "          away for ${E2E_AWAY:-3} s; a new policy in force $(($(date +%s%3N) - back)) ms after its return"
check '  and the watch is alive: a new policy arrives' policy_hash_is_not "$hash"

# ---- rights taken away while it runs
hash=$(policy_hash)
kubectl -n "$hook_namespace" delete rolebinding "$hook_name" >/dev/null
kubectl -n nvcf delete rolebinding "$hook_name" >/dev/null
check 'its rights are taken away: it serves on' hook_ready
check '  a change is injected' api_upgrade --set-string api.awsRegion=eu-west-2
check '  with what it knew' env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example
hook_stop
hook_start_live || true
sleep 1
not_ready() { ! hook_ready; }
check 'started without rights: not ready' not_ready
run kubectl -n nvcf annotate deployment "$deployment" note=1 --overwrite
same '  and never says yes' 1 "$RC"
log_says() { tail -n 20 "$E2E_TMP/log/webhook.log" | grep "$1"; }
check '  the log names the rule that is missing' wait_for 5 'the log line' log_says 'needs the rule'
kubectl apply -f "$E2E_LIB/webhook-rbac.yaml" >/dev/null
check '  given back: ready by itself' wait_for 60 'readiness' hook_ready
check '  and it serves' wait_for 10 'the API server to call the webhook' hook_called
