#!/usr/bin/env bash
# An API server keeps a connection that rests for 90 s, and a call that meets its end fails. So it
# must rest longer with us: one that asks again after 95 s is answered.
set -euo pipefail
# shellcheck source=../integration/lib.sh
source "$(dirname "$0")/../integration/lib.sh"

start_server --drain-seconds 0 --log-level warn
rests() {
    printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    sleep 95
    printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
}
rests | timeout 150 openssl s_client -quiet -connect "127.0.0.1:$PORT" -servername localhost \
    -CAfile "$CERTS/ca.crt" >"$WORK/rested" 2>"$LOGS/rested.log" || true
is 'a connection lives on that rested for 95 s' 2 "$(grep -c '^HTTP/1.1 200' "$WORK/rested")"
stop_server
finish
