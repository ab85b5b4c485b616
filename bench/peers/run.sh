#!/usr/bin/env bash
# The part "peers" of make bench: our server beside two Go webhooks that do the injecting part
# of the job, one with controller-runtime and one with bare net/http (README.md here).
#
# How: the server has one core and the load generator (bench/load.c) the other. In each round
# every server is started anew, measured in every case, and ended; the order rotates.
# BENCH_ROUNDS (5) and BENCH_SECONDS (2, of each case) scale it: six minutes as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${NRW_BENCH_OUT:-$PWD/build/bench}
load=${NRW_BUILD:-build/release}/bench/load
peers=build/peers
rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-2}
starts=5
mkdir -p "$out"
work=$(mktemp -d)
server=
group=
finish() {
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    [ -z "$group" ] || rmdir "$group" || true
    rm -rf "$work"
}
trap finish EXIT

if [ "$(nproc)" -lt 2 ]; then
    echo 'bench: needs two cores, one for the server and one for the generator' >&2
    exit 1
fi
bench/peers/job.sh build "$peers"

bench/peers/job.sh ours "$work"
ours=$work/ours
# In the image there is no configuration of OpenSSL that could be read; on this machine there may be.
case $(<"$work/kind") in *image) export OPENSSL_CONF=$work/none ;; esac
"$ours" certs issue --dns-name localhost --out-dir "$work" >/dev/null
bench/peers/job.sh registries >"$work/registries.json"
bench/peers/job.sh policy >"$work/policy.yaml"
bench/peers/job.sh review tests/e2e/recorded/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json \
    >"$work/review.json"
bytes=$(stat -c %s "$work/review.json")

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}
port=$(free_port)
subjects=(ours controller-runtime net/http)
declare -A command
command[ours]="$ours serve --listen 127.0.0.1:$port --metrics-listen none --policy-file $work/policy.yaml"
command[ours]+=" --tls-cert $work/tls.crt --tls-key $work/tls.key"
command[controller-runtime]="$peers/ctrlruntime -port $port -certs $work -registries $work/registries.json"
command[net/http]="$peers/nethttp -listen 127.0.0.1:$port -cert $work/tls.crt -key $work/tls.key"
command[net/http]+=" -registries $work/registries.json"
generate=(taskset -c 0 "$load" --port "$port" --ca "$work/ca.crt" --body "$work/review.json")

start() { # SUBJECT; what it logs goes where nobody reads it
    local -a words
    read -ra words <<<"${command[$1]}"
    taskset -c 1 "${words[@]}" >/dev/null 2>&1 &
    server=$!
    local _
    for _ in {1..500}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.02
    done
    echo "bench: $1 does not listen" >&2
    return 1
}
stop() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    server=
}
# With a handshake each, the generator's core is full before that of a server that is faster than it. So there
# is a case in which every server has half of its core, by a control group, where one can be made (root).
group_made() { # either version of them
    local new
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        new=/sys/fs/cgroup/nrw-bench-$$
        grep -qw cpu /sys/fs/cgroup/cgroup.subtree_control || echo +cpu >/sys/fs/cgroup/cgroup.subtree_control || return 1
        mkdir "$new" || return 1
        echo '5000 10000' >"$new/cpu.max" && [ "$(<"$new/cpu.max")" = '5000 10000' ] && group=$new
    else
        new=/sys/fs/cgroup/cpu/nrw-bench-$$
        mkdir "$new" || return 1
        echo 10000 >"$new/cpu.cfs_period_us" && echo 5000 >"$new/cpu.cfs_quota_us" &&
            [ "$(<"$new/cpu.cfs_quota_us")" = 5000 ] && group=$new
    fi
    [ -n "$group" ] || { rmdir "$new" && return 1; }
} 2>/dev/null
half_a_core() { # before the server's last case
    [ -n "$group" ] || group_made || return 1
    echo "$server" >"$group/cgroup.procs"
} 2>/dev/null
rss() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$server/status"; }
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$out/peers.tsv"; }

# All do the same job: the four variables, and nothing of the old ones touched.
same_job() { # SUBJECT
    local got
    got=$(curl -fsS --max-time 5 --cacert "$work/ca.crt" -H 'Content-Type: application/json' \
        --data-binary @"$work/review.json" "https://localhost:$port/mutate" |
        jq -r '.response.patch' | base64 -d | jq -c '[.. | objects | select(has("name") and has("value") and
            (.name | startswith("NVCF_REGISTRIES"))) | {(.name): .value}] | add')
    [ "$(jq -cS . <<<"$got")" = "$(jq -cS . "$work/registries.json")" ] || {
        echo "bench: $1 does another job: $got" >&2
        return 1
    }
}

# A case during which others took more than a tenth of a core is measured again, and the calmest
# attempt counts; for the whole run there is patience for so many.
patience=$((rounds * 4))
calmest() { # FLAGS… -> $line
    local again others least=
    while :; do
        again=$("${generate[@]}" --pid "$server" --seconds "$seconds" "$@") || {
            echo "bench: wrong answers: $again" >&2
            return 1
        }
        others=${again##*others=}
        if [ -z "$least" ] || awk "BEGIN { exit !($others < $least) }"; then
            least=$others
            line=$again
        fi
        if [ "$patience" -le 0 ] || awk "BEGIN { exit !($least <= 0.1) }"; then return 0; fi
        patience=$((patience - 1))
    done
}

measure() { # SUBJECT CASE ROUND FLAGS…
    local subject=$1 case=$2 round=$3 line pair value
    shift 3
    calmest "$@"
    for pair in $line; do
        value=${pair#*=}
        pair=${pair%%=*}
        case $pair in
        per_second) row "$case" "$subject" per_second 1/s "$round" "$value" ;;
        cpu_us) row "$case" "$subject" cpu us "$round" "$value" ;;
        p50_us | p99_us | p999_us | max_us) row "$case" "$subject" "${pair%_us}" us "$round" "$value" ;;
        unanswered) [ "$value" = 0 ] || row "$case" "$subject" unanswered 1 "$round" "$value" ;;
        lag99_us) [[ $case == saturation* ]] || row "$case" "$subject" lag99 us "$round" "$value" ;;
        server) row "$case" "$subject" server_busy 1 "$round" "$value" ;;
        generator) [[ $case != saturation* ]] || row "$case" "$subject" generator_busy 1 "$round" "$value" ;;
        others) row "$case" "$subject" others_busy 1 "$round" "$value" ;;
        esac
    done
}

one_round() { # NUMBER
    local round=$1 i k subject
    local -a words
    for ((i = 0; i < ${#subjects[@]}; i++)); do
        subject=${subjects[$(((i + round) % ${#subjects[@]}))]}
        read -ra words <<<"${command[$subject]}"
        "${generate[@]}" --core 1 --starts "$starts" -- "${words[@]}" >"$work/starts" 2>/dev/null
        while read -r k; do
            row start "$subject" exec_to_answer ms "$round" "$k"
        done <"$work/starts"
        start "$subject"
        sleep 1
        row memory "$subject" rss_idle kB "$round" "$(rss)"
        same_job "$subject"
        measure "$subject" saturation-kept "$round"
        measure "$subject" saturation-fresh "$round" --fresh
        measure "$subject" 200-kept "$round" --rate 200
        measure "$subject" 1000-kept "$round" --rate 1000
        measure "$subject" 200-fresh "$round" --rate 200 --fresh
        row memory "$subject" rss_loaded kB "$round" "$(rss)"
        if half_a_core; then measure "$subject" saturation-half "$round" --fresh; fi
        stop
    done
}

: >"$out/peers.tsv"
for ((round = 1; round <= rounds; round++)); do
    echo "bench: peers, round $round of $rounds" >&2
    one_round "$round"
done
row size ours image byte 1 "$(<"$work/bytes")"
row size controller-runtime image byte 1 "$(stat -c %s "$peers/ctrlruntime")"
row size net/http image byte 1 "$(stat -c %s "$peers/nethttp")"

awk -F'\t' -v bytes="$bytes" -v kind="$(<"$work/kind")" -v rounds="$rounds" -v seconds="$seconds" \
    -v go="$(go env GOVERSION)" -v cr="$(cd bench/peers && go list -m -f '{{.Version}}' sigs.k8s.io/controller-runtime)" \
    -f bench/peers/table.awk "$out/peers.tsv" >"$out/peers.md"
