#!/usr/bin/env bash
# Attacks on the server beside which good clients go on: none of their requests fails, their
# p99 stays within twice what it is without (or SLACK_US above it, whichever is more: the
# attacker, and whatever else runs, takes its share of the same processors; bench/attack
# measures without that), memory stays bounded, descriptors come back, and nothing crashes.
# One that is too slow is tried once more. NRW_BIN may be a sanitizer's build.
# Runs alone: latencies are compared.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
# Clients of another build than the server, so that they are not what is slow.
tools=${NRW_TOOLS:-$(dirname "$NRW_BIN")/tests/tools}
SLACK_US=${SLACK_US:-25000}
SECONDS_EACH=${SECONDS_EACH:-2}

cat >"$WORK/review.json" <<'END'
{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"11111111-2222-3333-4444-555555555555","kind":{"group":"apps","version":"v1","kind":"Deployment"},"resource":{"group":"apps","version":"v1","resource":"deployments"},"name":"x","namespace":"default","operation":"CREATE","userInfo":{"username":"a"},"object":{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"default"},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b"}]}}}},"oldObject":null,"dryRun":false,"options":null}}
END

good_clients() { # SECONDS -> $WORK/good
    "$tools/load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$WORK/review.json" \
        --connections 4 --seconds "$1" >"$WORK/good" 2>&1
}
# What TCP holds for all, in KiB: what clients do not read, and what is not read of them. Both
# ends of every connection are on this machine.
kernel_kib() { awk '/^TCP:/ { for (i = 1; i < NF; i++) if ($i == "mem") print $(i + 1) * 4 }' /proc/net/sockstat; }
value() { sed -nE "s/.*(^| )$1=([0-9]+).*/\\2/p" "$2" | tail -1; } # NAME FILE
descriptors() { find "/proc/$SERVER_PID/fd" -mindepth 1 2>/dev/null | wc -l; }
few_descriptors() { [ "$(descriptors)" -le $((fds + 8)) ]; }

# The memory that the server may have at most: what it has after load, 1024 connections of each
# worker with their TLS state and pool, and the budget of large bodies. Sanitizers multiply.
start_server --threads 2 --log-level error
good_clients 2
is "good clients alone" 0 "$(value failed "$WORK/good")"
base=$(value p99_us "$WORK/good")
# With a sanitizer every request of the attacker's takes many times as long.
grep -qE 'asan|tsan' <(ldd "$NRW_BIN") && SLACK_US=$((SLACK_US * 8))
limit=$((base * 2 > base + SLACK_US ? base * 2 : base + SLACK_US))
fds=$(descriptors)
rss_start=$(rss_kib)
rss_limit=$((rss_start + 400 * 1024))
grep -q asan <(ldd "$NRW_BIN") && rss_limit=$((rss_limit * 4))
grep -q tsan <(ldd "$NRW_BIN") && rss_limit=$((rss_limit * 8))
echo "alone: $(cat "$WORK/good"), RSS $rss_start KiB, $fds descriptors"

attack() { # NAME CONNECTIONS -> $rss, $kernel, $p99, the lines of both
    background "attack-$1" "$tools/net_attack" "$PORT" "$1" "$2" "$((SECONDS_EACH + 1))"
    local attacker=$REPLY
    sleep 0.5
    good_clients "$SECONDS_EACH" || true
    rss=$(rss_kib || echo 0) kernel=$(kernel_kib) p99=$(value p99_us "$WORK/good")
    wait "$attacker" || true
    forget "$attacker"
    echo "$(cat "$LOGS/attack-$1.log"); good: $(cat "$WORK/good"); RSS $rss KiB, TCP $kernel KiB"
}
for each in $("$tools/net_attack" list); do
    name=${each%:*}
    attack "$name" "${each#*:}"
    if [ "${p99:-0}" -gt "$limit" ] && [ "$(value failed "$WORK/good")" = 0 ]; then
        attack "$name" "${each#*:}"
    fi
    is "$name: no request of a good client fails" 0 "$(value failed "$WORK/good")"
    at_most "$name: their p99 stays (us)" "$limit" "$p99"
    at_most "$name: memory stays bounded (KiB)" "$rss_limit" "$rss"
    ok "$name: the server lives" ready
done
# Idle connections of the last attackers are closed as they go; nothing stays open.
ok "descriptors come back" until_ok 100 few_descriptors
echo "RSS at the end $(rss_kib) KiB, $(descriptors) descriptors"
stop_server
finish
