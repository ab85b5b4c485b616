#!/usr/bin/env bash
# The way down: SIGTERM makes it unready at once, it serves on with Connection: close, lets what
# runs end, exits 0. A second signal ends it at once.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

review=$root/tests/e2e/recorded/helm3-install.02-mutate-CREATE-Deployment.json
load=${NRW_BUILD:-$root/build/release}/tests/tools/load
now() { date +%s%3N; }

# --- drained under load -----------------------------------------------------------------
start_server --drain-seconds 3
"$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --connections 8 --seconds 3 >"$WORK/kept" &
kept=$!
"$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --connections 2 --seconds 3 --fresh >"$WORK/fresh" &
fresh=$!
sleep 1
began=$(now)
kill -TERM "$SERVER_PID"
unready() { [ "$(curl -sS --max-time 1 -o "$BODY" -w '%{http_code}' "$METRICS_URL/readyz")" = 503 ]; }
ok "not ready" until_ok 30 unready
at_most "at once (ms)" 2500 $(($(now) - began))
like "and says why" '^draining: ' "$(cat "$BODY")"
is "alive all the same" 200 "$(curl -sS -o "$WORK/plain" -w '%{http_code}' "$METRICS_URL/healthz")"
post /mutate "$review"
is "serves new connections" 200 "$STATUS"
like "and closes them" '^[Cc]onnection: close' "$(cat "$WORK/headers")"
wait "$kept" || true
wait "$fresh" || true
echo "kept connections:  $(cat "$WORK/kept")"
echo "fresh connections: $(cat "$WORK/fresh")"
like "kept connections: none failed" '^requests=[1-9][0-9]+ failed=0 closed=[1-9]' "$(cat "$WORK/kept")"
like "fresh connections: none failed" '^requests=[1-9][0-9]+ failed=0 ' "$(cat "$WORK/fresh")"
end_of "$SERVER_PID" 100 || fail "ends after its drain"
took=$(($(now) - began))
isnt "serves on for three seconds (ms: $took)" 0 $((took >= 3000))
at_most "and not much longer (ms)" 10000 "$took"
stop_server # it is gone; this looks at the exit code
like "the log ends well" '"msg":"stopping"' "$(tail -1 "$SERVER_LOG")"

# --- a request that is under way --------------------------------------------------------
start_server --drain-seconds 0
body=$(cat "$review")
mkfifo "$WORK/pipe"
openssl s_client -quiet -connect "127.0.0.1:$PORT" -CAfile "$CERTS/ca.crt" -servername localhost \
    <"$WORK/pipe" >"$WORK/slow" 2>/dev/null &
client=$!
pids+=("$client")
exec 9>"$WORK/pipe"
printf 'POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$(stat -c %s "$review")" "${body:0:1000}" >&9
sleep 0.5
kill -TERM "$SERVER_PID"
sleep 0.5
ok "waits for a request under way" alive "$SERVER_PID"
printf '%s\n' "${body:1000}" >&9
end_of "$client" 50 || fail "the connection ends"
exec 9>&-
like "and answers it" '^HTTP/1.1 200 ' "$(head -1 "$WORK/slow")"
like "with its uid" "$(jq -r .request.uid "$review")" "$(cat "$WORK/slow")"
end_of "$SERVER_PID" 50 || fail "ends then"
stop_server

# --- a second signal --------------------------------------------------------------------
second() { # SIGNAL CODE
    start_server --drain-seconds 60
    local code=0
    kill "-$1" "$SERVER_PID"
    until_ok 20 unready || fail "unready after SIG$1"
    alive "$SERVER_PID" || fail "drains after SIG$1"
    began=$(now)
    kill "-$1" "$SERVER_PID"
    end_of "$SERVER_PID" 50 || fail "ends after the second SIG$1"
    at_most "a second SIG$1 ends it at once (ms)" 5000 $(($(now) - began))
    wait "$SERVER_PID" || code=$?
    forget "$SERVER_PID"
    is "exit code of a second SIG$1" "$2" "$code"
}
second TERM 143
second INT 130
finish
