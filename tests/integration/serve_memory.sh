#!/usr/bin/env bash
# The chart's memory limit, held by the kernel: whoever can reach the port, with thousands of
# connections or with reviews that become dozens of times their size when they are read, does
# not get the process killed, and good clients beside them are served.
# Runs alone: it keeps all processors busy.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
tools=${NRW_TOOLS:-$(dirname "$NRW_BIN")/tests/tools}
LIMIT_MIB=128 # deploy/chart/values.yaml, resources
SECONDS_EACH=${SECONDS_EACH:-2}

if grep -qE 'asan|tsan' <(ldd "$NRW_BIN"); then
    skip "memory limit" "a sanitizer takes several times as much"
    finish
fi
if [[ $NRW_BIN == */undefined/* ]]; then
    skip "memory limit" "the release build is tried, which takes as much"
    finish
fi
# A group of our own: cgroup v1 or v2, whichever has the memory controller.
group='' most='' kills=''
if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    group=/sys/fs/cgroup/memory/nrw-test-$$ limit=memory.limit_in_bytes
    most=memory.max_usage_in_bytes kills=memory.oom_control
elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
    group=/sys/fs/cgroup/nrw-test-$$ limit=memory.max most=memory.peak kills=memory.events
fi
if [ -z "$group" ] || ! mkdir "$group" 2>/dev/null; then
    skip "memory limit" "no control group can be made here"
    finish
fi
leave() { cleanup; until_ok 20 rmdir "$group" 2>/dev/null || true; }
trap leave EXIT
if ! echo $((LIMIT_MIB << 20)) 2>/dev/null >"$group/$limit"; then
    skip "memory limit" "the control group takes no limit"
    finish
fi
[ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"

cat >"$WORK/limited" <<END
#!/bin/sh
echo \$\$ >$group/cgroup.procs
exec $NRW_BIN "\$@"
END
chmod +x "$WORK/limited"
NRW_BIN=$WORK/limited

killed() { sed -nE 's/^oom_kill ([0-9]+)$/\1/p' "$group/$kills"; }
most_mib() { echo $(($(cat "$group/$most") >> 20)); }
value() { sed -nE "s/.*(^| )$1=([0-9]+).*/\\2/p" "$2" | tail -1; } # NAME FILE

# Reviews near the largest body of nothing but the smallest values, each of another kind.
around() { # WHERE, the items from stdin -> stdout
    printf '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","kind":{"group":"apps","version":"v1","kind":"Deployment"},"operation":"CREATE","namespace":"nvcf","name":"api","userInfo":{"username":"a"},"object":{"metadata":{"name":"api","namespace":"nvcf","labels":{"app.kubernetes.io/name":"helm-nvcf-api"}},"spec":{"template":{"spec":{"containers":[{"name":"helm-nvcf-api","%s":[' "$1"
    cat
    printf ']}]}}}}}}'
}
review() { # WHERE ITEM COUNT -> stdout
    around "$1" < <(head -c $(((${#2} + 1) * $3)) < <(yes "$2" | tr '\n' ,) && printf %s "$2")
}
review env '{"name":"V"}' 500000 >"$WORK/names.json"
review env '{}' 2000000 >"$WORK/objects.json"
review args 0 3000000 >"$WORK/numbers.json"
review envFrom '{"configMapRef":{"name":"a"}}' 200000 >"$WORK/maps.json"
seq -f '{"name":"V%.0f","value":"x"}' -s , 9000 | around env >"$WORK/fits.json"
seq -f '{"name":"V%.0f","value":"x"}' -s , 20 | around env >"$WORK/good.json"
sed 's/"uid":"1"/"uid":"'"$(head -c 60000 /dev/zero | tr '\0' u)"'"/' "$WORK/good.json" >"$WORK/uid.json"
# A remote configuration of small maps: the tree of its YAML is the large thing.
{
    printf '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","kind":{"group":"","version":"v1","kind":"ConfigMap"},"operation":"CREATE","namespace":"nvcf","name":"nvcf-api-remote-config","userInfo":{"username":"a"},"object":{"metadata":{"name":"nvcf-api-remote-config","namespace":"nvcf"},"data":{"nvcf-api.yaml":"'
    seq 25000 | awk '{ printf "k%d: {a: b}\\n", $1 }'
    printf '"}}}}'
} >"$WORK/yaml.json"

start_server --threads 4 --drain-seconds 0
like "the log says what it plans with" '"connections":408,"memory_limit":134217728' "$(grep '"serving"' "$SERVER_LOG")"
stop_server
start_server --threads 4 --log-level error
say() { # FILE [PATH] -> status
    curl -sS -o "$BODY" -w '%{http_code}' --max-time 20 --cacert "$CERTS/ca.crt" \
        -H 'Content-Type: application/json' --data-binary @"$1" "$URL${2:-/mutate}" || true
}
is "a review of 9000 variables fits" 200 "$(say "$WORK/fits.json")"
for heavy in names objects numbers maps; do
    is "one of nothing but $heavy does not, and is told so" 413 "$(say "$WORK/$heavy.json")"
    like "  and why" MiB "$(cat "$BODY")"
done
is "a uid that is no uid is not repeated" 400 "$(say "$WORK/uid.json")"

heavies() { # SECONDS: six at a time, again and again
    local until=$((SECONDS + $1)) each
    while [ "$SECONDS" -lt "$until" ]; do
        for each in names objects numbers maps fits names; do
            say "$WORK/$each.json" >/dev/null 2>&1 &
            say "$WORK/yaml.json" /validate >/dev/null 2>&1 &
        done
        wait
    done
}
attack() { # NAME… : all at once, good clients beside them
    local name each attackers=()
    for name in "$@"; do
        if [ "$name" = heavies ]; then
            (BODY=/dev/null heavies "$SECONDS_EACH") >/dev/null 2>&1 &
            attackers+=("$!")
        else
            each=$("$tools/net_attack" list | grep "^$name:")
            background "attack-$name" "$tools/net_attack" "$PORT" "$name" "${each#*:}" $((SECONDS_EACH + 1))
            attackers+=("$REPLY")
        fi
    done
    sleep 0.5
    "$tools/load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$WORK/good.json" \
        --connections 4 --seconds "$SECONDS_EACH" >"$WORK/good" 2>&1 || true
    wait "${attackers[@]}" || true
    echo "$*: good: $(cat "$WORK/good"); $(most_mib) MiB at most"
    is "$*: nothing is killed" "0 alive" "$(killed) $(gone "$SERVER_PID" && echo dead || echo alive)"
    [ $# -gt 1 ] || is "$*: no request of a good client fails" 0 "$(value failed "$WORK/good")"
    ok "$*: the server is ready" ready
}
for name in half-hello idle slow-head slow-body half-bodies big-bodies never-reads unread-reviews large-hello small-values heavy-crowd leaving heavies; do
    attack "$name"
done
attack half-bodies big-bodies unread-reviews heavies
attack half-hello half-bodies small-values heavies
at_most "memory at most, with the kernel's part (MiB)" "$LIMIT_MIB" "$(most_mib)"
echo "at most $(most_mib) MiB of $LIMIT_MIB"
stop_server
finish
