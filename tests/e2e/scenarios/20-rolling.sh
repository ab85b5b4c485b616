# shellcheck shell=bash
# helms: 4
# Rolling restarts while Deployments are changed without a pause through four connections:
# two replicas behind a stand-in for the Service, each replaced again and again, as a roll-out
# does it: the new one is ready before the old one is told to end, and the endpoints learn of
# that a second late. Not one update may fail.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

balance=$(dirname "$E2E_WEBHOOK_BIN")/tests/tools/balance
if [ -n "${E2E_KUBECONFIG:-}" ] || [ ! -x "$balance" ]; then
    skip 'rolling restarts' 'they need the control plane of this suite, and make test-programs'
    exit 0
fi
replacements=${E2E_ROLLINGS:-6} # E2E_ROLLING_DRAIN=0 shows that it can fail
clients=4
api=$(kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.server}')
endpoints=$E2E_TMP/endpoints
policy_text -- 'GHCR=ghcr.io=GitHub Container Registry' >"$E2E_TMP/policy.yaml"
pki=$E2E_TMP/pki

list_endpoints() { # swapped in whole
    printf '%s\n' "$@" >"$endpoints.new"
    mv "$endpoints.new" "$endpoints"
}
replica_ready() { curl -fsS --max-time 2 "http://127.0.0.1:$1/readyz"; }
replica_start() { # NAME: sets REPLY to its port
    local port metrics
    port=$(free_port)
    metrics=$(free_port)
    spawn "$1" "$E2E_WEBHOOK_BIN" serve --listen "127.0.0.1:$port" --metrics-listen "127.0.0.1:$metrics" \
        --policy-file "$E2E_TMP/policy.yaml" --tls-cert "$E2E_TMP/pki/hook.crt" --tls-key "$E2E_TMP/pki/hook.key" \
        --log-format text --log-level warn --drain-seconds "${E2E_ROLLING_DRAIN:-2}"
    wait_for 10 'a replica' replica_ready "$metrics"
    REPLY=$port
}
# What the API server says of its calls to the webhook: made, and answered well.
calls() {
    kubectl get --raw /metrics | awk '/^apiserver_admission_webhook_request_total/ && /nvcf-registry-webhook.dev/ {
        all += $NF; if (/code="200"/ && /rejected="false"/) good += $NF } END { print all + 0, good + 0 }'
}

replica_start webhook-a
ports=("$REPLY")
replica_start webhook-b
ports+=("$REPLY")
names=(webhook-a webhook-b)
list_endpoints "${ports[@]}"
spawn balance "$balance" "$E2E_HOOK_IP" "$E2E_HOOK_PORT" "$endpoints"
hook_config Fail
for ((i = 0; i < clients; i++)); do
    wait_for 10 "Deployment rolling-$i" kubectl apply -f - <<END_OF_DEPLOYMENT
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling-$i, namespace: nvcf, labels: {app.kubernetes.io/name: helm-nvcf-api}}
spec:
  replicas: 0
  selector: {matchLabels: {app: rolling-$i}}
  template:
    metadata: {labels: {app: rolling-$i}}
    spec: {containers: [{name: helm-nvcf-api, image: stand-in.invalid/rolling}]}
END_OF_DEPLOYMENT
done
injected() {
    kubectl -n nvcf get deployment rolling-0 -o json |
        jq -e --arg name "${registry}_GHCR_HOSTNAME" '.spec.template.spec.containers[0].env | any(.name == $name)'
}
touch_it() { kubectl -n nvcf annotate deployment rolling-0 --overwrite "try=$RANDOM" && injected; }
check 'the webhook is called' wait_for 10 'the API server to call the webhook' touch_it

# ---- clients: each sends hundreds of updates over one connection, then a few hundred more
update() { # CLIENT
    local round=0
    while [ ! -e "$E2E_TMP/rolling.stop" ]; do
        round=$((round + 1))
        awk -v pki="$pki" -v url="$api/apis/apps/v1/namespaces/nvcf/deployments/rolling-$1" -v round="$round" 'BEGIN {
            for (i = 0; i < 200; i++) {
                if (i) print "next"
                printf "url = \"%s\"\nrequest = \"PATCH\"\nheader = \"Content-Type: application/merge-patch+json\"\n", url
                printf "data = \"{\\\"metadata\\\":{\\\"annotations\\\":{\\\"change\\\":\\\"%d.%d\\\"}}}\"\n", round, i
                printf "output = \"/dev/null\"\nsilent\nmax-time = 20\nwrite-out = \"%%{http_code} %%{time_total}\\n\"\n"
                printf "cacert = \"%s/kube-ca.crt\"\ncert = \"%s/admin.crt\"\nkey = \"%s/admin.key\"\n", pki, pki, pki
            }
        }' >"$E2E_TMP/rolling.$1.curl"
        curl -K "$E2E_TMP/rolling.$1.curl" >>"$E2E_TMP/rolling.$1.codes" 2>>"$E2E_TMP/log/rolling.log" || true
    done
}
read -r all_before good_before <<<"$(calls)"
rm -f "$E2E_TMP/rolling.stop"
updaters=()
for ((i = 0; i < clients; i++)); do
    update "$i" &
    updaters+=("$!")
done

# ---- and meanwhile
clean=0
until=$((SECONDS + 40)) # on a slow machine: go on until it has been two thousand
so_far() { cat "$E2E_TMP"/rolling.[0-9].codes 2>/dev/null | wc -l; }
for ((k = 0; k < replacements || ($(so_far) < 2000 && SECONDS < until); k++)); do
    old=$((k % 2))
    old_pid=$(cat "$E2E_TMP/${names[old]}.pid")
    old_port=${ports[old]}
    name=webhook-r$k
    replica_start "$name"
    ports[old]=$REPLY
    names[old]=$name
    list_endpoints "$old_port" "${ports[@]}"
    kill -TERM "$old_pid"
    sleep 1 # new connections still go there
    list_endpoints "${ports[@]}"
    code=0
    wait "$old_pid" 2>/dev/null || code=$?
    [ "$code" -ne 0 ] || clean=$((clean + 1))
done
: >"$E2E_TMP/rolling.stop"
wait "${updaters[@]}" 2>/dev/null || true
read -r all_after good_after <<<"$(calls)"

cat "$E2E_TMP"/rolling.[0-9].codes >"$E2E_TMP/rolling.codes"
updates=$(wc -l <"$E2E_TMP/rolling.codes")
failed=$(awk '$1 != 200' "$E2E_TMP/rolling.codes" | wc -l)
all=$((all_after - all_before)) good=$((good_after - good_before))
p99=$(awk '{ print $2 }' "$E2E_TMP/rolling.codes" | sort -n | awk '{ t[NR] = $1 } END { print t[int(NR * 0.99)] * 1000 }')
echo "    $updates updates through $clients connections, $failed failed, p99 $p99 ms; $all calls of the webhook, $((all - good)) failed; $k replicas replaced"
check 'more than a thousand updates' test "$updates" -gt 1000
same 'not one failed' 0 "$failed"
[ "$failed" -eq 0 ] || awk '$1 != 200' "$E2E_TMP/rolling.codes" | sort | uniq -c | head -5
check 'at least two calls for each' test "$all" -ge $((2 * updates))
same 'every call was answered' "$all" "$good"
same 'every old replica ended with exit code 0' "$k" "$clean"
check 'the last ones serve' touch_it
kubectl -n nvcf delete deployment -l app.kubernetes.io/name=helm-nvcf-api --wait=false >/dev/null
