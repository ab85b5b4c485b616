#!/usr/bin/env bash
# The part "attack" of make bench: what good clients feel of each attack on the server.
#
# How: the server has one core, good clients (bench/load.c, open loop) and the attacker
# (tests/tools/net_attack.c) share the other, on which the attacker only has what the clients leave
# (SCHED_IDLE: it is put off the core as soon as one of them wakes). So what the attacker itself
# computes does not count, as if it were on another machine; what the server does for it does.
# Before and after each attack the same clients are measured alone. The case "compute" is an attacker that
# only computes: what the shared machine adds.
# BENCH_ROUNDS (3), BENCH_SECONDS (3, of each measurement), BENCH_RATE (1000 requests/s) and BENCH_ATTACKS scale
# it: eleven minutes as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${NRW_BENCH_OUT:-$PWD/build/bench}
build=${NRW_BUILD:-build/release}
server_bin=${NRW_BIN:-$build/nvcf-registry-webhook}
rounds=${BENCH_ROUNDS:-3}
seconds=${BENCH_SECONDS:-3}
rate=${BENCH_RATE:-1000}
mapfile -t attacks < <(xargs -n 1 <<<"${BENCH_ATTACKS:-compute:1 $("$build/tests/tools/net_attack" list | xargs)}")
if [ "$(nproc)" -lt 2 ]; then
    echo 'bench: needs two cores, one for the server and one for everybody else' >&2
    exit 1
fi
mkdir -p "$out"
work=$(mktemp -d)
server=
attacker=
finish() {
    [ -z "$attacker" ] || kill -KILL "$attacker" 2>/dev/null || true
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

"$server_bin" certs issue --dns-name localhost --out-dir "$work" >/dev/null
bench/peers/job.sh policy >"$work/policy.yaml"
bench/peers/job.sh review tests/e2e/recorded/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json \
    >"$work/review.json"
# With the right to (root), priorities also keep everything else on the machine away from both cores: the
# clients always come first, and the attacker before anybody else. Of the server's core the kernel would keep
# 50 ms of each second for others, once it is full, if it had real-time priority.
server_at=(taskset -c 0) clients_at=(taskset -c 1) attacker_at=(taskset -c 1 chrt --idle 0)
if chrt --fifo 1 true 2>/dev/null; then
    server_at=(setsid "${server_at[@]}" nice -n -20)
    clients_at+=(chrt --fifo 1)
    attacker_at=(setsid taskset -c 1 nice -n -20)
fi

port=
while [ -z "$port" ] || (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + RANDOM % 10000)); done
"${server_at[@]}" "$server_bin" serve --listen "127.0.0.1:$port" --metrics-listen none --policy-file "$work/policy.yaml" \
    --tls-cert "$work/tls.crt" --tls-key "$work/tls.key" --threads "${BENCH_THREADS:-1}" >"$work/log" 2>&1 &
server=$!
echo -20 >"/proc/$server/autogroup" 2>/dev/null || true # where nice only counts within a session
for _ in {1..500}; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.02
done
clients=("${clients_at[@]}" "$build/bench/load" --port "$port" --ca "$work/ca.crt" --body "$work/review.json"
    --connections 4 --rate "$rate" --sleep --pid "$server" --seconds "$seconds" --warm 1)

value() { sed -E "s/.*(^| )$1=([^ ]*).*/\2/" <<<"$2"; } # NAME LINE
status() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$server/status"; }
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$out/attack.tsv"; }
note() { # CASE SUBJECT ROUND LINE
    local name
    for name in p50_us p99_us lag99_us; do row "$1" "$2" "${name%_us}" us "$3" "$(value $name "$4")"; done
    for name in completed failed unanswered; do row "$1" "$2" $name 1 "$3" "$(value $name "$4")"; done
    row "$1" "$2" server_busy 1 "$3" "$(value server "$4")"
}
# A wrong answer is a row of the table, not the end of it.
good_clients() { "${clients[@]}" 2>>"$work/errors" || true; }

: >"$out/attack.tsv"
for ((round = 1; round <= rounds; round++)); do
    echo "bench: attack, round $round of $rounds" >&2
    line=$(good_clients)
    for attack in "${attacks[@]}"; do
        name=${attack%:*} count=${attack#*:}
        note "$name" before "$round" "$line"
        echo 5 >"/proc/$server/clear_refs" # VmHWM begins anew
        "${attacker_at[@]}" "$build/tests/tools/net_attack" "$port" "$name" "$count" $((seconds + 2)) \
            >"$work/attacker" 2>&1 &
        attacker=$!
        echo -20 >"/proc/$attacker/autogroup" 2>/dev/null || true
        line=$(good_clients)
        wait "$attacker" || true
        attacker=
        note "$name" attacked "$round" "$line"
        row "$name" attacked rss_highest kB "$round" "$(status VmHWM)"
        for what in opened ended refused alerts answers; do
            row "$name" attacker $what 1 "$round" "$(value $what "$(tail -1 "$work/attacker")")"
        done
        kill -0 "$server" || { echo "bench: the server ended: $(tail -3 "$work/log")" >&2; exit 1; }
        sleep 0.3
        line=$(good_clients)
        note "$name" after "$round" "$line"
    done
done
awk -F'\t' -v review="$(stat -c %s "$work/review.json")" -v rate="$rate" -v seconds="$seconds" -v rounds="$rounds" -f bench/attack/table.awk "$out/attack.tsv" \
    >"$out/attack.md"
