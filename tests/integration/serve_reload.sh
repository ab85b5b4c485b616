#!/usr/bin/env bash
# Policy and certificate replaced while the server runs, as the kubelet does it (a symlink
# swapped in a mounted folder), as an editor does it (written in place), wrongly, and half.
# What is not good leaves the last good one; three certificates in a row under load, no request
# failed.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

review=$root/tests/e2e/recorded/helm3-install.02-mutate-CREATE-Deployment.json
load=${NRW_BUILD:-$root/build/release}/tests/tools/load
mount=$WORK/mount

# swap DIR FILE…: a new generation of a mounted ConfigMap or Secret, swapped in at once
generation=0
swap() {
    local dir=$1
    shift
    generation=$((generation + 1))
    mkdir -p "$dir/..g$generation"
    cp "$@" "$dir/..g$generation/"
    ln -sfn "..g$generation" "$dir/..data_tmp"
    mv -T "$dir/..data_tmp" "$dir/..data"
    find "$dir" -maxdepth 1 -type d -name '..g*' ! -name "..g$generation" -exec rm -rf {} +
}
registries() { metric nvcf_registry_webhook_policy_registries; }
registries_are() { [ "$(registries)" = "$1" ]; }
reloads() { metric "nvcf_registry_webhook_policy_reloads_total{result=\"$1\"}"; }
rotations() { metric "nvcf_registry_webhook_certificate_rotations_total{result=\"$1\"}"; }
reloads_are() { [ "$(reloads "$1")" = "$2" ]; }
rotations_are() { [ "$(rotations "$1")" = "$2" ]; }
lines() { grep -c "$1" "$SERVER_LOG" || true; }
add_registry() { # FILE KEY
    printf '  %s:\n    name: Registry %s\n    hostname: %s.example\n' "$2" "$2" "${2,,}" >>"$1"
}

mkdir -p "$mount/policy" "$mount/tls"
make_policy "$WORK/policy.yaml"
make_ca "$CERTS"
mkdir "$WORK/pairs"
pair() { # N: $WORK/pairs/N/tls.crt and tls.key
    mkdir -p "$WORK/pairs/$1"
    make_cert "$CERTS" "pair$1" DNS:localhost IP:127.0.0.1
    mv "$CERTS/pair$1.crt" "$WORK/pairs/$1/tls.crt"
    mv "$CERTS/pair$1.key" "$WORK/pairs/$1/tls.key"
}
for n in 0 1 2 3 4 5; do pair "$n"; done
swap "$mount/policy" "$WORK/policy.yaml"
swap "$mount/tls" "$WORK/pairs/0/tls.crt" "$WORK/pairs/0/tls.key"
ln -s ..data/policy.yaml "$mount/policy/policy.yaml"
ln -s ..data/tls.crt "$mount/tls/tls.crt"
ln -s ..data/tls.key "$mount/tls/tls.key"
start_server --policy-file "$mount/policy/policy.yaml" --tls-cert "$mount/tls/tls.crt" \
    --tls-key "$mount/tls/tls.key" --drain-seconds 0
is "two registries" 2 "$(registries)"
is "the first policy is no reload" 0 "$(reloads success)"
is "the first certificate is no rotation" 0 "$(rotations success)"

# --- policy -----------------------------------------------------------------------------
add_registry "$WORK/policy.yaml" THIRD
swap "$mount/policy" "$WORK/policy.yaml"
ok "a swapped symlink is taken within 3 s" until_ok 30 registries_are 3
post /mutate "$review"
like "and decides" 'CONTAINER_THIRD_NAME' "$(json '.response.patch | @base64d')"
add_registry "$WORK/policy.yaml" FOURTH
swap "$mount/policy" "$WORK/policy.yaml"
ok "the second swap too" until_ok 30 registries_are 4
add_registry "$WORK/policy.yaml" FIFTH
swap "$mount/policy" "$WORK/policy.yaml"
ok "and the third" until_ok 30 registries_are 5
is "three reloads" 3 "$(reloads success)"

cp "$WORK/policy.yaml" "$WORK/good.yaml"
printf '  DOCKER:\n    name: x\n    hostname: y.example\n' >>"$WORK/policy.yaml"
swap "$mount/policy" "$WORK/policy.yaml"
ok "an invalid policy is counted" until_ok 50 reloads_are failure 1
is "the last good one stays" 5 "$(registries)"
like "the log says what is wrong" '"line":[0-9]+.*DOCKER' "$(grep '"policy is not valid"' "$SERVER_LOG")"
get /readyz
is "still ready" 200 "$STATUS"
like "with a note" '^note: the policy as it is now was not taken' "$(cat "$BODY")"
touch "$mount/policy/..data/policy.yaml"
swap "$mount/policy" "$WORK/policy.yaml"
sleep 1.5
is "the same content is not counted twice" 1 "$(reloads failure)"
is "and logged once" 1 "$(lines 'policy not taken')"
cp "$WORK/good.yaml" "$WORK/policy.yaml"
add_registry "$WORK/policy.yaml" SIXTH
swap "$mount/policy" "$WORK/policy.yaml"
ok "a good one after that" until_ok 30 registries_are 6
noted() { get /readyz && grep -q '^note: the policy' "$BODY"; }
not_noted() { ! noted; }
ok "and no note any more" not_noted

rm "$mount/policy/policy.yaml"
ok "a file that is gone is counted" until_ok 50 reloads_are failure 2
is "and leaves what was" 6 "$(registries)"
ok "and is noted" noted
ln -s ..data/policy.yaml "$mount/policy/policy.yaml"
ok "until it is there again, as it was" until_ok 50 not_noted
rm "$mount/policy/policy.yaml"
ok "gone once more, it is counted again" until_ok 50 reloads_are failure 3
# Written in place, in two halves: the first is a valid policy of one registry.
{
    head -6 "$WORK/policy.yaml"
    sleep 0.15
    tail -n +7 "$WORK/policy.yaml"
    add_registry /dev/stdout SEVENTH
} >"$mount/policy/policy.yaml"
ok "written in place" until_ok 30 registries_are 7
is "half of it was never in force" 0 "$(lines '"registries":1,')"
add_registry "$mount/policy/policy.yaml" EIGHTH
kill -HUP "$SERVER_PID"
ok "SIGHUP" until_ok 10 registries_are 8

# --- certificates -----------------------------------------------------------------------
"$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --connections 8 --seconds 120 --fresh >"$WORK/fresh" &
fresh=$!
"$load" --port "$PORT" --ca "$CERTS/ca.crt" --body "$review" --connections 4 --seconds 120 >"$WORK/kept" &
kept=$!
pids+=("$fresh" "$kept")
serial() {
    openssl s_client -connect "127.0.0.1:$PORT" -servername localhost </dev/null 2>/dev/null |
        openssl x509 -noout -serial
}
serial_of() { openssl x509 -noout -serial -in "$1"; }
for n in 1 2 3; do
    sleep 0.8
    swap "$mount/tls" "$WORK/pairs/$n/tls.crt" "$WORK/pairs/$n/tls.key"
    ok "certificate $n is taken under load" until_ok 100 rotations_are success "$n"
    is "certificate $n is served" "$(serial_of "$WORK/pairs/$n/tls.crt")" "$(serial)"
done
sleep 0.8
kill -TERM "$fresh" "$kept"
wait "$fresh" || true
wait "$kept" || true
forget "$fresh"
forget "$kept"
echo "fresh connections: $(cat "$WORK/fresh")"
echo "kept connections:  $(cat "$WORK/kept")"
like "fresh connections: none failed" '^requests=[1-9][0-9]+ failed=0 ' "$(cat "$WORK/fresh")"
like "fresh connections: saw them change" ' certificates=[2-4] ' "$(cat "$WORK/fresh")"
like "kept connections: none failed" '^requests=[1-9][0-9]+ failed=0 closed=0 handshakes=4 certificates=1 ' "$(cat "$WORK/kept")"

is "the third is served" "$(serial_of "$WORK/pairs/3/tls.crt")" "$(serial)"
expiry=$(date -d "$(openssl x509 -noout -enddate -in "$WORK/pairs/3/tls.crt" | cut -d= -f2)" +%s)
is "expiry metric" "$expiry" "$(metric nvcf_registry_webhook_certificate_expiry_timestamp_seconds)"

swap "$mount/tls" "$WORK/pairs/4/tls.crt" "$WORK/pairs/5/tls.key"
ok "a key of another certificate is counted" until_ok 50 rotations_are failure 1
is "the third is still served" "$(serial_of "$WORK/pairs/3/tls.crt")" "$(serial)"
get /readyz
is "and ready" 200 "$STATUS"
# Certificate and key one after the other, in place: no failure between the two.
swap "$mount/tls" "$WORK/pairs/3/tls.crt" "$WORK/pairs/3/tls.key"
sleep 0.6
cp "$WORK/pairs/4/tls.crt" "$mount/tls/..data/tls.crt"
sleep 0.3
cp "$WORK/pairs/4/tls.key" "$mount/tls/..data/tls.key"
kill -HUP "$SERVER_PID" # nothing watches the folder behind the symlink; ten seconds would do
ok "a pair in two steps" until_ok 60 rotations_are success 4
is "is served" "$(serial_of "$WORK/pairs/4/tls.crt")" "$(serial)"
is "and counted as no failure" 1 "$(rotations failure)"
if [ "${NRW_FLAVOUR:-release}" = release ]; then # ten seconds, so in one flavour only
    add_registry "$WORK/policy.yaml" NINTH
    swap "$mount/policy" "$WORK/policy.yaml"
    ln -sf ..data/policy.yaml "$mount/policy/policy.yaml"
    reads() { [ "$(registries)" = "$(grep -c hostname: "$WORK/policy.yaml")" ]; }
    ok "the mounted policy again" until_ok 50 reads
    add_registry "$mount/policy/..data/policy.yaml" TENTH
    add_registry "$WORK/policy.yaml" TENTH
    ok "a change that nothing tells of is seen by its content" until_ok 130 reads
fi

# --- an expired certificate -------------------------------------------------------------
openssl x509 -in "$WORK/pairs/5/tls.crt" -signkey "$WORK/pairs/5/tls.key" -days -1 \
    -out "$WORK/expired.crt" 2>/dev/null || true
if openssl x509 -in "$WORK/expired.crt" -noout -checkend 0 >/dev/null 2>&1; then
    skip "expired certificate" "this openssl issues none"
else
    cp "$WORK/expired.crt" "$WORK/pairs/5/tls.crt"
    swap "$mount/tls" "$WORK/pairs/5/tls.crt" "$WORK/pairs/5/tls.key"
    ok "an expired certificate is taken" until_ok 40 rotations_are success 5
    is "not ready" 503 "$(curl -sS -o "$BODY" -w '%{http_code}' "$METRICS_URL/readyz")"
    like "and says why" '^certificate: it expired at [0-9TZ:-]+$' "$(cat "$BODY")"
    post /mutate "$review" --insecure
    is "serves all the same" 200 "$STATUS"
fi
stop_server

# --- a client CA beside the certificate -----------------------------------------------------
for name in one two; do make_cert "$WORK/$name" client DNS:client.example; done
cp "$WORK/one/ca.crt" "$WORK/client-ca.crt"
start_server --client-ca "$WORK/client-ca.crt" --drain-seconds 0
clientless() { curl -fsS --cacert "$CERTS/ca.crt" --max-time 5 "$URL/healthz"; }
not_clientless() { ! clientless; }
ok "nobody is served without a certificate" not_clientless
: >"$WORK/client-ca.crt"
ok "an emptied client CA is counted" until_ok 50 rotations_are failure 1
ok "and opens to nobody" not_clientless
stop_server

# --- a client CA that comes without a certificate (that is the cluster's, or made up) --------
# Both kinds go the same way; tests/e2e/scenarios/14 does it with --tls-secret.
cp "$WORK/one/ca.crt" "$WORK/client-ca.crt"
start_server --demo --client-ca "$WORK/client-ca.crt" --drain-seconds 0
demo() { # [CLIENT-CA]: asks, with a certificate of that CA
    local -a certificate=()
    [ $# -eq 0 ] || certificate=(--cert "$WORK/$1/client.crt" --key "$WORK/$1/client.key")
    curl -fsS --insecure --max-time 5 "${certificate[@]}" "$URL/healthz"
}
refused() { ! demo "$@"; }
ok "who shows a certificate of the client CA is served" demo one
ok "of another one not" refused two
ok "nor who shows none" refused
cat "$WORK/one/ca.crt" "$WORK/two/ca.crt" >"$WORK/client-ca.crt"
ok "another client CA beside it is taken" until_ok 50 demo two
ok "and the first is served still" demo one
cp "$WORK/two/ca.crt" "$WORK/client-ca.crt"
ok "the first is taken out" until_ok 50 refused one
ok "the other stays" demo two
before=$(rotations failure)
echo nonsense >"$WORK/client-ca.crt"
ok "one that is none is counted" until_ok 50 rotations_are failure $((before + 1))
ok "and leaves what was" demo two
ok "which is not nobody" refused
: >"$WORK/client-ca.crt"
ok "an empty one is counted" until_ok 50 rotations_are failure $((before + 2))
ok "and does not let in everybody" refused
ok "but who was let in" demo two
stop_server
exits "and ends the start" 1 "$NRW_BIN" serve --demo --listen 127.0.0.1:0 --metrics-listen none --client-ca "$WORK/client-ca.crt"
like "with its reason" 'client CA' "$(cat "$BODY")"
finish
