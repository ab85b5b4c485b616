#!/usr/bin/env bash
# What the process cannot do once it serves, and what cannot be got out of it: the filter of
# system calls is on every thread; the files that it opens are those that syscalls.def lists;
# nobody of its own user reads its memory; a private key is in memory once, in OpenSSL's
# hands, never as PEM, in no log, and gone when another has taken its place.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
tools=${NRW_BUILD:-$root/build/release}/tests/tools
review=$root/tests/e2e/recorded/helm3-install.02-mutate-CREATE-Deployment.json
sanitized=''
if grep -qE 'asan|tsan' <(ldd "$NRW_BIN"); then sanitized=1; fi

field() { # NAME -> its values over all threads, each once
    awk -v want="$1:" '$1 == want { print $2 }' /proc/"$SERVER_PID"/task/*/status | sort -u | tr '\n' ' '
}
# scalar KEY-FILE -> the private number in hex, as in DER, and the other way round, as a BIGNUM's words lie
scalar() {
    openssl pkey -in "$1" -noout -text 2>/dev/null | awk '
        /^priv:/ { on = 1; next } /^pub:/ { on = 0 } on { gsub(/[: \t]/, ""); hex = hex $0 }
        END { while (length(hex) > 64) hex = substr(hex, 3)
              for (i = length(hex) - 1; i > 0; i -= 2) back = back substr(hex, i, 2)
              print hex, back }'
}
pem_hex() { sed -n 2p "$1" | tr -d '\n' | od -An -v -tx1 | tr -d ' \n'; } # its first line of base64
rotations() { metric 'nvcf_registry_webhook_certificate_rotations_total{result="success"}'; }
rotations_are() { [ "$(rotations)" = "$1" ]; }
grep_memory() { "$tools/memory_grep" "$SERVER_PID" "$@" | paste -sd ' ' -; }

mkdir -p "$WORK/tls"
make_cert "$CERTS" first
make_cert "$CERTS" second
for name in first second; do # without the parameters, so that the second line is the key
    openssl pkey -in "$CERTS/$name.key" -out "$CERTS/$name.pem" 2>/dev/null
done
cp "$CERTS/first.crt" "$WORK/tls/tls.crt"
cp "$CERTS/first.pem" "$WORK/tls/tls.key"
make_policy "$POLICY"
start_server --policy-file "$POLICY" --tls-cert "$WORK/tls/tls.crt" --tls-key "$WORK/tls/tls.key" \
    --log-level debug --drain-seconds 0

# --- the filter -------------------------------------------------------------------------
if [ -n "$sanitized" ]; then
    like "off with this sanitizer, and said so" '"seccomp":"off: built with a sanitizer"' "$(cat "$SERVER_LOG")"
else
    like "the log says so" '"seccomp":"on"' "$(cat "$SERVER_LOG")"
    is "a filter on every thread" "2 " "$(field Seccomp)"
    is "no new privileges on any" "1 " "$(field NoNewPrivs)"
fi
if grep -q '^THP_enabled:.*1' /proc/self/status; then
    is "no huge pages unasked, on any" "0 " "$(field THP_enabled)"
else
    skip "no huge pages unasked" "this kernel has none, or does not say"
fi
ok "several threads" test "$(find "/proc/$SERVER_PID/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 3

# --- the key ----------------------------------------------------------------------------
read -r first first_back < <(scalar "$CERTS/first.key")
read -r second second_back < <(scalar "$CERTS/second.key")
is "the test knows the key" "64 64" "${#first} ${#second_back}"
post /mutate "$review"
is "it serves" 200 "$STATUS"
if [ -n "$sanitized" ]; then
    skip "keys in memory" "a sanitizer maps terabytes, and keeps what was freed"
elif grep_memory "$first_back" >/dev/null 2>&1; then
    read -r be le pem other < <(grep_memory "$first" "$first_back" "$(pem_hex "$CERTS/first.pem")" "$second_back")
    ok "the key that serves is in memory (so that the search is one)" test $((be + le)) -ge 1
    is "not as PEM" 0 "$pem"
    is "no other is" 0 "$other"
    cp "$CERTS/second.pem" "$WORK/tls/new.key"
    cp "$CERTS/second.crt" "$WORK/tls/new.crt"
    mv "$WORK/tls/new.key" "$WORK/tls/tls.key"
    mv "$WORK/tls/new.crt" "$WORK/tls/tls.crt"
    ok "another certificate is taken up" until_ok 200 rotations_are 1
    post /mutate "$review"
    is "it serves" 200 "$STATUS"
    read -r be le pem pem2 now_be now_le < <(grep_memory "$first" "$first_back" "$(pem_hex "$CERTS/first.pem")" \
        "$(pem_hex "$CERTS/second.pem")" "$second" "$second_back")
    ok "its key is in memory" test $((now_be + now_le)) -ge 1
    is "the old one is wiped" "0 0" "$be $le"
    is "neither is there as PEM" "0 0" "$pem $pem2"
else
    skip "keys in memory" "this user cannot read another process's memory"
fi
unlike "no key in the log" "PRIVATE KEY|$(sed -n 2p "$CERTS/first.pem")|$(sed -n 2p "$CERTS/second.pem")" "$(cat "$SERVER_LOG")"
is "no core file" "0 0" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$SERVER_PID/limits")"

# --- files ------------------------------------------------------------------------------
# All that is opened from here on. The server answers, reads a policy and a certificate that
# changed, is scraped, and ends.
if [ -n "$sanitized" ]; then
    skip "files opened while serving" "the sanitizer opens its own"
elif strace -f -e trace=openat,open,openat2,creat -o "$WORK/true" true 2>/dev/null; then
    background strace strace -f -e trace=openat,open,openat2,creat,execve,clone,clone3 -o "$WORK/opened" -p "$SERVER_PID"
    tracer=$REPLY
    ok "strace is there" until_ok 50 grep -q attached "$LOGS/strace.log"
    for _ in 1 2 3; do post /mutate "$review"; done
    post /validate "$review"
    metric nvcf_registry_webhook_policy_registries >"$WORK/registries"
    get /readyz
    kill -HUP "$SERVER_PID"
    printf '  THIRD:\n    name: Third\n    hostname: third.example\n' >>"$POLICY"
    more() { [ "$(metric nvcf_registry_webhook_policy_registries)" = 3 ]; }
    ok "a changed policy is taken up" until_ok 200 more
    "$tools/load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --requests 200 --fresh >"$LOGS/load.log" 2>&1 ||
        fail "load beside it" "$(cat "$LOGS/load.log")"
    stop_server
    end_of "$tracer" 50 || true
    sed -nE 's/.*open(at2?)?\((AT_FDCWD, )?"([^"]*)".*/\3/p' "$WORK/opened" | sort | uniq -c >"$LOGS/opened.log"
    others=$(awk '{ print $2 }' "$LOGS/opened.log" | grep -vxF -e "$POLICY" -e "$WORK/tls/tls.crt" -e "$WORK/tls/tls.key" |
        grep -vE '^(/proc/self/[a-z]+|/proc/sys/vm/overcommit_memory|/sys/devices/system/cpu/online)$' || true)
    is "no file is opened but those that are listed" "" "$others"
    ok "(the policy is)" grep -qF "$POLICY" "$LOGS/opened.log"
    is "no process is started" "" "$(grep -E 'execve|clone' "$WORK/opened" || true)"
else
    skip "files opened while serving" "there is no strace, or it may not trace"
fi
[ -z "$SERVER_PID" ] || ! alive "$SERVER_PID" || stop_server

# --- its own user -----------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    chmod -R a+rX "$WORK"
    server=$NRW_BIN
    printf '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups "%s" "$@"\n' "$server" >"$WORK/as-nobody"
    chmod +x "$WORK/as-nobody"
    cp "$tools/memory_grep" "$WORK/memory_grep"
    nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
    if nobody test -x "$server"; then
        NRW_BIN=$WORK/as-nobody
        start_server --policy-file "$POLICY" --tls-cert "$WORK/tls/tls.crt" --tls-key "$WORK/tls/tls.key" --drain-seconds 0
        is "it runs without root" 65534 "$(awk '/^Uid:/ { print $2 }' "/proc/$SERVER_PID/status")"
        post /mutate "$review"
        is "and serves" 200 "$STATUS"
        like "and knows its own open descriptors" '^[1-9]' "$(metric process_open_fds)"
        background sleeper setpriv --reuid 65534 --regid 65534 --clear-groups sleep 30
        sleeper=$REPLY
        exits "its user cannot read its memory" 2 nobody "$WORK/memory_grep" "$SERVER_PID" "$second_back"
        exits "nor its environment" 1 nobody cat "/proc/$SERVER_PID/environ"
        ok "(of another process it can)" until_ok 50 nobody cat "/proc/$sleeper/environ"
        stop_server
    else
        skip "its own user" "the build folder cannot be read by others"
    fi
else
    skip "its own user" "that takes root, to become somebody else"
fi

# --- switched off -----------------------------------------------------------------------
NRW_BIN=${server:-$NRW_BIN}
start_server --seccomp off --drain-seconds 0
like "off on demand" '"seccomp":"off"' "$(cat "$SERVER_LOG")"
is "no filter then" "0 " "$(field Seccomp)"
stop_server
exits "another word is refused" 2 "$NRW_BIN" serve --demo --seccomp maybe
like "with what is right" 'on.*off' "$(cat "$BODY")"
finish
