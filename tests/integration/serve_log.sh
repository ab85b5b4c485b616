#!/usr/bin/env bash
# A log that cannot be written: a reader that stopped reading, a full disk, a pipe whose reader
# is gone. Every request is answered as quickly as ever, what was lost is counted and
# said, and the log goes on, line by line whole, when it can.
set -euo pipefail
# A small disk is mounted below: in a mount namespace of its own it goes away by itself.
if [ -z "${NRW_OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
    NRW_OWN_MOUNTS=1 exec unshare --mount "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"

review=$root/tests/e2e/recorded/helm3-upgrade-guide.02-mutate-UPDATE-Deployment.json
load=${NRW_BUILD:-$root/build/release}/tests/tools/load
many=20000
[ "${NRW_FLAVOUR:-release}" = release ] || many=6000

cat >"$WORK/to-log" <<'END_TO'
#!/usr/bin/env bash
exec 2>"$NRW_STDERR"
# What the script holds open of a pipe (9), the server must not hold too.
exec 9>&- "$NRW_REAL" "$@"
END_TO
chmod +x "$WORK/to-log"
export NRW_REAL=$NRW_BIN NRW_STDERR
NRW_BIN=$WORK/to-log

dropped() { metric nvcf_registry_webhook_log_lines_dropped_total; }
# requests NAME COUNT: all of them answered
requests() {
    local answer
    answer=$(timeout 60 "$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --connections 8 \
        --requests "$2" 2>&1) || true
    echo "$1: ${answer:-no answer within a minute}"
    like "$1: every request is answered" "^requests=$2 failed=0 " "$answer"
    at_most "$1: none waited for the log (us)" 1000000 "$(sed -nE 's/.* max_us=([0-9]+).*/\1/p' <<<"${answer:-max_us=99999999}")"
}
whole() { # FILE: every line is one JSON object
    ok "$1" jq -es 'length > 0' "$2"
}
notice() { # FILE -> the sum of what the log itself says was lost
    jq -s 'map(select(.msg == "log lines were lost") | .lines) | add // 0' "$1"
}

# --- a reader that stops ------------------------------------------------------------------
mkfifo "$WORK/fifo"
NRW_STDERR=$WORK/fifo
exec 9<>"$WORK/fifo" # held open, read from later
start_server --drain-seconds 0
is 'nothing is lost as long as there is room' 0 "$(dropped)"
requests 'a reader that stopped' "$many"
lost=$(dropped)
isnt 'what was lost is counted' 0 "$lost"
ok 'it is ready' ready
timeout 60 cat <"$WORK/fifo" >"$WORK/read.json" 9>&- &
reader=$!
pids+=("$reader")
sleep 0.5
post /mutate "$review"
is 'the reader reads again: served' 200 "$STATUS"
noted() { [ "$(notice "$WORK/read.json")" -ge "$lost" ]; }
ok 'and the log says how many lines are missing' until_ok 50 noted
is 'as many as were counted' "$(dropped)" "$(notice "$WORK/read.json")"
stop_server
exec 9>&-
end_of "$reader" 50 || true
wait "$reader" || true
whole 'every line that was written is whole' "$WORK/read.json"
is 'what is there and what is missing make the whole' $((many + 1)) \
    $(($(jq -s 'map(select(.msg == "admission")) | length' "$WORK/read.json") + lost))

# --- a disk that is full from the first byte ------------------------------------------------
NRW_STDERR=/dev/full
start_server --drain-seconds 0
requests '/dev/full' 1000
ok '/dev/full: what was lost is counted' [ "$(dropped)" -ge 1000 ]
stop_server

# --- a disk that fills up, and is emptied ----------------------------------------------------
mkdir "$WORK/disk"
if [ -n "${NRW_OWN_MOUNTS:-}" ] && mount -t tmpfs -o size=64k none "$WORK/disk" 2>/dev/null; then
    NRW_STDERR=$WORK/disk/log
    start_server --drain-seconds 0
    requests 'a full disk' 1000
    lost=$(dropped)
    isnt 'a full disk: what was lost is counted' 0 "$lost"
    cp "$WORK/disk/log" "$WORK/first.json"
    mount -o remount,size=1m "$WORK/disk"
    post /mutate "$review"
    is 'a disk with room again: the log says what is missing' "$lost" "$(notice "$WORK/disk/log")"
    whole 'and every line is whole' "$WORK/disk/log"
    stop_server
    umount "$WORK/disk"
else
    skip 'a disk that fills up' 'mounting a tmpfs is not allowed here'
fi

# --- a reader that is gone ------------------------------------------------------------------
mkfifo "$WORK/gone"
NRW_STDERR=$WORK/gone
exec 9<>"$WORK/gone"
start_server --drain-seconds 0
exec 9>&-
requests 'a reader that is gone' 1000
ok 'a reader that is gone: what was lost is counted' [ "$(dropped)" -ge 1000 ]
stop_server
finish
