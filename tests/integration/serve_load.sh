#!/usr/bin/env bash
# Many requests: none fails, memory stays where it was, and too many connections do no harm.
# Prints the figures. In flavours with sanitizers there are fewer requests, and memory is not
# judged.
# Runs alone: processor time and memory are measured.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

review=$root/tests/e2e/recorded/helm3-upgrade-guide.02-mutate-UPDATE-Deployment.json
load=${NRW_BUILD:-$root/build/release}/tests/tools/load
flavour=${NRW_FLAVOUR:-release}
many=100000
[ "$flavour" = release ] || many=5000

# run NAME LOAD-OPTION…
run() {
    local name=$1 answer
    shift
    answer=$("$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" "$@" 2>&1) || true
    echo "$name: $answer"
    like "$name: none failed" '^requests=[1-9][0-9]* failed=0 ' "$answer"
}

start_server --drain-seconds 0 --log-level warn
idle=$(rss_kib)
echo "resident memory when idle: $idle KiB"
run "1,000 over 16 kept connections" --connections 16 --requests 1000
run "1,000 over fresh connections" --connections 16 --requests 1000 --fresh
run "$many over 16 kept connections" --connections 16 --requests "$many"
after=$(rss_kib)
echo "resident memory after $((many + 2000)) requests: $after KiB"
run "validate" --connections 4 --requests 1000 --path /validate
is "all are counted" $((many + 2000)) "$(curl -fsS "$METRICS_URL/metrics" |
    awk '/^nvcf_registry_webhook_admission_requests_total.*endpoint="mutate"/ { n += $NF } END { printf "%d", n }')"
is "none is in flight" 0 "$(metric nvcf_registry_webhook_requests_in_flight)"
if [ "$flavour" = release ]; then
    at_most "idle memory (KiB)" 16384 "$idle"
    at_most "memory after (KiB)" $((idle + 8192)) "$after"
fi

# Large bodies, four at a time: 7 MiB of blanks before the review.
{ head -c 7340032 /dev/zero | tr '\0' ' ' && cat "$review"; } >"$WORK/large"
answer=$("$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$WORK/large" --connections 4 --requests 40 2>&1) || true
echo "7 MiB bodies: $answer"
like "large bodies" ' failed=0 ' "$answer"
echo "resident memory after large bodies: $(rss_kib) KiB"
if [ "$flavour" = release ]; then
    small() { [ "$(rss_kib)" -le $((idle + 8192)) ]; }
    ok "a burst's memory is given back" until_ok 250 small
    echo "and some seconds later: $(rss_kib) KiB"
fi
stop_server

# --- more connections than descriptors --------------------------------------------------
cat >"$WORK/few" <<'END_FEW'
#!/usr/bin/env bash
ulimit -n 64
exec "$NRW_REAL" "$@"
END_FEW
chmod +x "$WORK/few"
export NRW_REAL=$NRW_BIN
NRW_BIN=$WORK/few
start_server --drain-seconds 0 --threads 1
run "5 at a time, 60 idle connections, 64 descriptors" --connections 2 --requests 200 --idle 60
# Connections that say nothing at all, not even hello.
fds=()
for ((i = 0; i < 80; i++)); do
    if exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"; then fds+=("$fd"); fi
done 2>/dev/null
sleep 0.3
before=$(awk '{ print $14 + $15 }' "/proc/$SERVER_PID/stat")
sleep 1
spent=$(($(awk '{ print $14 + $15 }' "/proc/$SERVER_PID/stat") - before))
at_most "${#fds[@]} silent connections: it does not spin (CPU, hundredths of a second)" 20 "$spent"
run "beside them" --connections 1 --requests 20 --fresh
ok "and answers probes" curl -fsS --max-time 2 "$METRICS_URL/readyz"
for fd in "${fds[@]}"; do exec {fd}>&-; done
goes_on() {
    post /mutate "$review"
    [ "$STATUS" = 200 ]
}
ok "and goes on after them" until_ok 30 goes_on
stop_server
finish
