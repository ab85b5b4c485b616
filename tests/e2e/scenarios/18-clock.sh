# shellcheck shell=bash
# helms: 4
# The node's clock jumps, forward over the certificate's end and back before its beginning,
# while the webhook runs: it goes by the API server's clock, so nothing is issued anew, no
# call fails and it stays ready. libfaketime moves the process's CLOCK_REALTIME.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

if [ -n "${E2E_KUBECONFIG:-}" ]; then
    skip 'a clock that jumps' 'another cluster calls by address, and these certificates bear names'
    exit 0
fi
library=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | sed -n 1p)
if [ -z "$library" ]; then
    skip 'a clock that jumps' 'faketime is not installed (Debian package faketime)'
    exit 0
fi
export E2E_NO_BUNDLE=1
clock=$E2E_TMP/clock
log=$E2E_TMP/log/webhook.log
set_clock() { echo "$1" >"$clock.new" && mv "$clock.new" "$clock"; }
set_clock +0
hook_environment=("LD_PRELOAD=$library" "FAKETIME_TIMESTAMP_FILE=$clock" FAKETIME_NO_CACHE=1
    FAKETIME_DONT_FAKE_MONOTONIC=1)
policy_text -- 'GHCR=ghcr.io=GitHub Container Registry' | policy_configmap >/dev/null
kubectl -n "$hook_namespace" delete secret "$hook_name-tls" --ignore-not-found >/dev/null
hook_config Fail
touch "$log"
before=$(wc -c <"$log")
ours() { tail -c "+$((before + 1))" "$log"; } # what this scenario's webhook has logged
check 'it runs' hook_start_self
check '  is ready' wait_for 15 'readiness' hook_ready
check '  and called' wait_for 10 'the API server to call the webhook' hook_called
fingerprint() {
    kubectl -n "$hook_namespace" get secret "$hook_name-tls" -o json |
        jq -r '.data["ca.crt"] + .data["tls.crt"]' | sha256sum
}
issued() { ours | grep -c 'action="issue' || true; }
at_first=$(fingerprint)
issues=$(issued)
pid=$(cat "$E2E_TMP/webhook.pid")

# The rotation looks at once when something changes, not only every minute.
poke() {
    kubectl annotate mutatingwebhookconfiguration "$hook_name" "e2e/poke=$RANDOM" --overwrite >/dev/null
}
unready=0 refused=0 asked=0
watch_it() { # SECONDS
    local end=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$end" ]; do
        asked=$((asked + 1))
        hook_ready >/dev/null 2>&1 || unready=$((unready + 1))
        hook_canary >/dev/null || refused=$((refused + 1))
        poke
        sleep 0.3
    done
}
for jump in +40d -40d +3h +0 -400d +0; do
    set_clock "$jump"
    watch_it 2
done
dates=$(ours | grep -o '^20[0-9-]*' | sort -u | wc -l)
check 'the clock really jumped' [ "$dates" -ge 4 ]
echo "          $asked times asked while the clock jumped six times: $unready unready, $refused calls failed"
same 'it was ready all the time' 0 "$unready"
same 'no call failed' 0 "$refused"
same 'nothing was issued' "$issues" "$(issued)"
same '  and the Secret is as it was' "$at_first" "$(fingerprint)"
check 'the same process runs' kill -0 "$pid"
check 'the log says what is odd' grep -q "clock differs from this machine's" <(ours)
policy_in_force < <(policy_text -- 'GHCR=ghcr.io=GitHub Container Registry' 'INTERNAL=registry.corp.example=Corporate')
check 'a new policy is still taken' hook_ready
hook_stop
policy_gone
kubectl -n "$hook_namespace" delete secret "$hook_name-tls" --ignore-not-found >/dev/null
