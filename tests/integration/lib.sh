# shellcheck shell=bash
# Helpers of the integration scripts (and of others that start the real server). Use:
#
#   #!/usr/bin/env bash
#   set -euo pipefail
#   source "$(dirname "$0")/lib.sh"
#   start_server --log-level debug      # a policy and certificates are made unless given
#   post /mutate review.json            # sets STATUS; the answer is in $BODY
#   is "status" 200 "$STATUS"
#   stop_server                         # SIGTERM; a bad exit code is a failed test
#   finish                              # prints `N passed, N failed`, exits
#
# Everything is under $WORK, listens on loopback, is waited for with a bound, and is ended by pid in
# a trap. When something failed, the end of every log in $WORK/logs is printed. NRW_BIN
# names the program (tests/run sets it); without it, the release build is used.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NRW_BIN=${NRW_BIN:-$root/build/release/nvcf-registry-webhook}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/nrw-test.XXXXXX")
LOGS=$WORK/logs
BODY=$WORK/body
STATUS=000
CERTS=$WORK/certs
POLICY=$WORK/policy.yaml
SERVER_PID=''
SERVER_LOG=''
PORT='' METRICS_PORT='' URL='' METRICS_URL=''
mkdir -p "$LOGS"

passed=0 failed=0 skipped=0
finished=''
pids=()

# --- asserting ----------------------------------------------------------------------------
pass() { # NAME
    passed=$((passed + 1))
    echo "ok   $1"
}
fail() { # NAME [DETAIL…]
    failed=$((failed + 1))
    echo "FAIL $1"
    shift
    [ $# -eq 0 ] || printf '     %s\n' "$@"
}
skip() { # NAME WHY
    skipped=$((skipped + 1))
    echo "SKIP $1: $2"
}
is() { # NAME WANT GOT
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "want: $2" "got:  $3"; fi
}
isnt() { # NAME UNWANTED GOT
    if [ "$2" != "$3" ]; then pass "$1"; else fail "$1" "got what must not be: $3"; fi
}
like() { # NAME REGEX TEXT
    if grep -qE -e "$2" <<<"$3"; then pass "$1"; else fail "$1" "want match: $2" "got: ${3:0:800}"; fi
}
unlike() { # NAME REGEX TEXT
    if grep -qE -e "$2" <<<"$3"; then fail "$1" "must not match: $2" "got: ${3:0:800}"; else pass "$1"; fi
}
at_most() { # NAME LIMIT NUMBER
    if [ "$3" -le "$2" ]; then pass "$1"; else fail "$1" "want at most $2" "got $3"; fi
}
ok() { # NAME COMMAND… : it succeeds
    local name=$1
    shift
    if "$@" >"$LOGS/ok.out" 2>&1; then pass "$name"; else fail "$name" "command failed: $*" "$(tail -5 "$LOGS/ok.out")"; fi
}
exits() { # NAME CODE COMMAND… : it ends with this code; its output is in $BODY
    local name=$1 code=$2 rc=0
    shift 2
    "$@" >"$BODY" 2>&1 || rc=$?
    if [ "$rc" -eq "$code" ]; then pass "$name"; else fail "$name" "want exit code $code, got $rc" "$(tail -5 "$BODY")"; fi
}

finish() {
    finished=1
    exit 0 # the trap does the rest
}
cleanup() {
    local rc=$? p log
    set +e
    trap - EXIT
    for p in ${pids[@]+"${pids[@]}"}; do kill -TERM "$p" 2>/dev/null; done
    for p in ${pids[@]+"${pids[@]}"}; do end_of "$p" 50 || kill -KILL "$p" 2>/dev/null; done
    if [ -z "$finished" ]; then
        echo "FAIL ended before its end (exit code $rc)"
        failed=$((failed + 1))
    elif [ $((passed + failed + skipped)) -eq 0 ]; then
        echo "FAIL tested nothing"
        failed=1
    fi
    if [ "$failed" -gt 0 ]; then
        for log in "$LOGS"/*.log; do
            [ -s "$log" ] || continue
            echo "--- $(basename "$log")"
            tail -40 "$log"
        done
    fi
    rm -rf "$WORK" ${ports[@]+"${ports[@]}"}
    if [ "$skipped" -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ] && exit 0
    exit 1
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- waiting ------------------------------------------------------------------------------
# until_ok TENTHS COMMAND… : tries every tenth of a second.
until_ok() {
    local i tries=$1
    shift
    for ((i = 0; i < tries; i++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    return 1
}
alive() { # PID; a zombie is not alive
    local state
    state=$(sed -nE 's/^State:\s+(.).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ]
}
gone() { ! alive "$1"; }
end_of() { until_ok "$2" gone "$1"; } # PID TENTHS

# --- ports --------------------------------------------------------------------------------
# A free loopback port below the kernel's own range, so that no outgoing connection takes it
# between here and its use; the folder keeps scripts that run side by side apart. Sets REPLY.
ports=()
free_port() {
    local i port hex
    for ((i = 0; i < 200; i++)); do
        port=$((10000 + RANDOM % 20000))
        hex=$(printf ':%04X ' "$port")
        if grep -qs "$hex" /proc/net/tcp /proc/net/tcp6; then continue; fi
        if mkdir "${TMPDIR:-/tmp}/nrw-port-$port" 2>/dev/null; then
            ports+=("${TMPDIR:-/tmp}/nrw-port-$port")
            REPLY=$port
            return 0
        fi
    done
    echo "free_port: none found" >&2
    return 1
}

# --- certificates and policy --------------------------------------------------------------
# make_ca DIR, make_cert DIR NAME [SAN…] [-- OPENSSL-X509-OPTION…]: ECDSA P-256 by openssl, not by
# ourselves, so that our own issuance is not what proves our own serving.
make_ca() { # DIR [COMMON-NAME]
    mkdir -p "$1"
    openssl ecparam -name prime256v1 -genkey -noout -out "$1/ca.key" 2>/dev/null
    openssl req -x509 -new -key "$1/ca.key" -sha256 -days 30 -subj "/CN=${2:-test CA}" -out "$1/ca.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
make_cert() { # DIR NAME [SAN…]: DIR/NAME.crt and .key, signed by DIR/ca
    local dir=$1 name=$2 san
    shift 2
    [ $# -gt 0 ] || set -- DNS:localhost IP:127.0.0.1
    san=$(IFS=,; echo "$*")
    [ -e "$dir/ca.crt" ] || make_ca "$dir"
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$name.key" 2>/dev/null
    openssl req -new -key "$dir/$name.key" -subj "/CN=$name" -out "$dir/$name.csr" 2>/dev/null
    openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -sha256 \
        -set_serial "0x$(openssl rand -hex 8)" -days 10 -out "$dir/$name.crt" \
        -extfile <(printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' "$san") 2>/dev/null
    rm -f "$dir/$name.csr"
}
make_policy() { # FILE: the registries of the documentation's example
    cat >"$1" <<'END'
apiVersion: nvcf-registry-webhook/v1
kind: RegistryPolicy
registries:
  GHCR:
    name: GitHub Container Registry
    hostname: ghcr.io
  INTERNAL:
    name: Corporate Registry
    hostname: registry.corp.example
END
}

# --- processes ----------------------------------------------------------------------------
# background NAME COMMAND… : output to $LOGS/NAME.log, ended in the trap. Sets REPLY to the pid.
background() {
    local name=$1
    shift
    "$@" >"$LOGS/$name.log" 2>&1 </dev/null &
    REPLY=$!
    pids+=("$REPLY")
}

ready() { curl -fsS --max-time 2 "$METRICS_URL/readyz"; }
# Ready, or dead, whichever comes first.
ready_or_gone() { ready || gone "$SERVER_PID"; }

# start_server [FLAG…]: on free ports; waits until it is ready. A policy (--policy-file) and
# certificates (--tls-cert, --tls-key) are made and passed unless FLAGs bring their own.
# Returns 1, with the log printed at the end, if it does not become ready.
server_count=0
start_server() {
    local flags=" $* "
    local -a args=()
    free_port && PORT=$REPLY
    free_port && METRICS_PORT=$REPLY
    URL=https://localhost:$PORT
    METRICS_URL=http://127.0.0.1:$METRICS_PORT
    args=(serve --listen "127.0.0.1:$PORT" --metrics-listen "127.0.0.1:$METRICS_PORT")
    if [[ $flags != *" --policy"* && $flags != *" --demo "* ]]; then
        [ -e "$POLICY" ] || make_policy "$POLICY"
        args+=(--policy-file "$POLICY")
    fi
    if [[ $flags != *" --tls-"* && $flags != *" --demo "* ]]; then
        [ -e "$CERTS/tls.crt" ] || make_cert "$CERTS" tls
        args+=(--tls-cert "$CERTS/tls.crt" --tls-key "$CERTS/tls.key")
    fi
    server_count=$((server_count + 1))
    background "server-$server_count" "$NRW_BIN" "${args[@]}" "$@"
    SERVER_PID=$REPLY
    SERVER_LOG=$LOGS/server-$server_count.log
    until_ok "${NRW_READY_TENTHS:-150}" ready_or_gone || true
    if ! ready >/dev/null 2>&1; then
        fail "server becomes ready" "$(tail -3 "$SERVER_LOG")"
        return 1
    fi
}
# stop_server [SIGNAL] [TENTHS]: sets EXIT_CODE; anything but 0 is a failed test (a
# sanitizer that found something at exit shows here).
stop_server() {
    local signal=${1:-TERM} tenths=${2:-200}
    EXIT_CODE=0
    kill "-$signal" "$SERVER_PID" 2>/dev/null || true
    if ! end_of "$SERVER_PID" "$tenths"; then
        fail "server ends after SIG$signal" "still there after $((tenths / 10)) s"
        kill -KILL "$SERVER_PID" 2>/dev/null || true
    fi
    wait "$SERVER_PID" 2>/dev/null || EXIT_CODE=$?
    forget "$SERVER_PID"
    is "server exits cleanly after SIG$signal" 0 "$EXIT_CODE"
}
forget() { # PID
    local p
    local -a rest=()
    for p in ${pids[@]+"${pids[@]}"}; do
        [ "$p" = "$1" ] || rest+=("$p")
    done
    pids=(${rest[@]+"${rest[@]}"})
}
rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/${1:-$SERVER_PID}/status"; }

# --- HTTP ---------------------------------------------------------------------------------
# request METHOD PATH [CURL-OPTION…]: sets STATUS (000 when there was no answer); the body is in $BODY, the
# headers in $WORK/headers. Never fails itself.
request() {
    local method=$1 path=$2
    shift 2
    : >"$BODY"
    STATUS=$(curl -sS --max-time 20 --cacert "$CERTS/ca.crt" -X "$method" -D "$WORK/headers" -o "$BODY" \
        -w '%{http_code}' "$@" "$URL$path" 2>"$LOGS/curl.log") || true
    STATUS=${STATUS:-000}
}
get() { # PATH [CURL-OPTION…]
    local path=$1
    shift
    request GET "$path" "$@"
}
post() { # PATH FILE [CURL-OPTION…]
    local path=$1 file=$2
    shift 2
    request POST "$path" -H 'Content-Type: application/json' --data-binary "@$file" "$@"
}
metric() { # SERIES, as printed -> value
    curl -fsS --max-time 5 "$METRICS_URL/metrics" | awk -v want="$1" \
        '{ v = $NF; sub(/ [^ ]+$/, "") } $0 == want { print v; found = 1 } END { exit !found }'
}
json() { jq -r "$1" "$BODY"; } # FILTER
