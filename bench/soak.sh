#!/usr/bin/env bash
# The soak: millions of admissions over TLS while every second the policy and the certificate
# change (and every tenth second the new policy is not valid). Every answer must be, byte by
# byte, what one of the two policies says; memory must be flat and descriptors must not grow.
#
#   bench/soak.sh [ADMISSIONS]      default 10000000; a few minutes to a quarter of an hour on two free cores
#
# Prints a line at 1, 10, 20 … 100 %, then the verdicts. With OUT=FILE the figures are written
# there as a page (bench/SOAK.md). `make soak` builds and runs it. Ends with `N passed, N failed`.
set -euo pipefail
source "$(dirname "$0")/../tests/integration/lib.sh"
admissions=${1:-10000000}
build=${NRW_BUILD:-$root/build/release}
recorded=$root/tests/e2e/recorded
tls=$WORK/tls
mkdir -p "$tls" "$WORK/pairs" "$WORK/answers"

# --- two policies and one that is none ---------------------------------------------------
make_policy "$WORK/a.yaml"
cp "$WORK/a.yaml" "$WORK/b.yaml"
printf '  THIRD:\n    name: Third Registry\n    hostname: third.example\n' >>"$WORK/b.yaml"
cp "$WORK/a.yaml" "$WORK/wrong.yaml"
printf '  DOCKER:\n    name: Taken Over\n    hostname: docker.io\n' >>"$WORK/wrong.yaml"
put() { # FILE TARGET: swapped in whole, as an editor or a mount does it
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}
put "$WORK/a.yaml" "$POLICY"
for n in {0..19}; do make_cert "$CERTS" "pair$n"; done
put "$CERTS/pair0.crt" "$tls/tls.crt"
put "$CERTS/pair0.key" "$tls/tls.key"
start_server --policy-file "$POLICY" --tls-cert "$tls/tls.crt" --tls-key "$tls/tls.key" --threads 2 --log-level error
registries_are() { [ "$(metric nvcf_registry_webhook_policy_registries)" = "$1" ]; }
ok "the first policy is in force" until_ok 100 registries_are 2

# --- what is right -----------------------------------------------------------------------
# Each review's answer under each policy; that these are what they should be is asked of their
# contents here, and of their bytes in the soak.
cases=(
    "/mutate helm3-install.02-mutate-CREATE-Deployment"
    "/validate helm3-install.01-validate-CREATE-ConfigMap"
    "/mutate kubectl-apply-server.03-mutate-CREATE-Deployment"
    "/validate helm4-install.03-validate-CREATE-Deployment"
    "/mutate helm4-upgrade-guide.03-mutate-UPDATE-Deployment"
)
ask() { # POLICY-NAME
    local entry path name
    for entry in "${cases[@]}"; do
        read -r path name <<<"$entry"
        post "$path" "$recorded/$name.json"
        [ "$STATUS" = 200 ] || fail "$name under $1" "status $STATUS"
        cp "$BODY" "$WORK/answers/$name.$1"
    done
}
patch() { jq -r '.response.patch // "" | @base64d' "$WORK/answers/helm3-install.02-mutate-CREATE-Deployment.$1"; }
ask a
put "$WORK/b.yaml" "$POLICY"
ok "the second policy is taken up" until_ok 100 registries_are 3
ask b
like "the answers are right: the first policy's registries" 'ghcr\.io' "$(patch a)"
unlike "and no other" 'third\.example' "$(patch a)"
like "the second's" 'third\.example' "$(patch b)"
arguments=()
for entry in "${cases[@]}"; do
    read -r path name <<<"$entry"
    arguments+=("$path:$recorded/$name.json:$WORK/answers/$name.a:$WORK/answers/$name.b")
done

# --- the changes, every second -----------------------------------------------------------
changes() {
    local second=0 pair
    while sleep 1; do
        second=$((second + 1))
        pair=$((second % 20))
        put "$CERTS/pair$pair.crt" "$tls/tls.crt"
        put "$CERTS/pair$pair.key" "$tls/tls.key"
        if [ $((second % 10)) -eq 0 ]; then
            put "$WORK/wrong.yaml" "$POLICY"
        elif [ $((second % 10)) -eq 1 ]; then
            : # it stays: what was there for less than a second may be half written
        elif [ $((second % 2)) -eq 0 ]; then
            put "$WORK/a.yaml" "$POLICY"
        else
            put "$WORK/b.yaml" "$POLICY"
        fi
    done
}
changes >"$LOGS/changes.log" 2>&1 </dev/null &
changing=$!
pids+=("$changing")

began=$(date -u +%FT%TZ)
"$build/bench/soak" --port "$PORT" --ca "$CERTS/ca.crt" --pid "$SERVER_PID" --requests "$admissions" \
    "${arguments[@]}" | tee "$WORK/soak" || true
kill "$changing" 2>/dev/null || true
forget "$changing"
figure() { # PERCENT NAME
    awk -v at="percent=$1" -v name="$2=" '$1 == at { for (i = 2; i <= NF; i++)
        if (index($i, name) == 1) print substr($i, length(name) + 1) }' "$WORK/soak"
}
reloads() { metric "nvcf_registry_webhook_policy_reloads_total{result=\"$1\"}"; }
good=$(reloads success) bad=$(reloads failure)
rotations=$(metric 'nvcf_registry_webhook_certificate_rotations_total{result="success"}')
ten=$(figure 10 rss_kib) half=$(figure 50 rss_kib) all=$(figure 100 rss_kib)
seconds=$(figure 100 seconds)
seconds=${seconds%.*}

is "every admission was answered" "$admissions" "$(figure 100 admissions)"
is "and rightly" 0 "$(figure 100 failed)"
both=$(grep '^case=' "$WORK/soak" | grep -cvE 'answer_[12]=0( |$)' || true)
is "under both policies" "${#cases[@]}" "$both"
# A new certificate is put there each second, and a new policy; but one in ten is not valid and stays for
# two, since it is seen as such only after a second: someone may still be writing it.
ok "the policy changed in half of the seconds at least ($good times)" test "$good" -ge $((seconds / 2))
ok "and was refused where it was not valid ($bad times)" test "$bad" -ge $((seconds / 40))
ok "the certificate changed in half of the seconds at least ($rotations times)" test "$rotations" -ge $((seconds / 2))
# From a tenth on: before it, caches and arenas fill up.
at_most "memory is flat from 10 % to 50 % (KiB)" $((ten + ten / 20 + 1024)) "$half"
at_most "and to 100 %" $((ten + ten / 20 + 1024)) "$all"
at_most "descriptors do not grow" $(($(figure 10 descriptors) + 4)) "$(figure 90 descriptors)"
ok "it is ready" ready
stop_server

if [ -n "${OUT:-}" ]; then
    {
        echo '# The soak'
        echo
        echo "\`make soak\`, begun $began at commit $("$NRW_BIN" version 2>/dev/null | sed -nE 's/.*commit[ :]*([0-9a-f]{7,}).*/\1/p' | head -1)"
        echo "on $(sed -nE 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores (client and server share them), $(uname -sr)."
        echo
        echo "$admissions admissions over TLS in $seconds s, five reviews in turn as an API"
        echo "server sends them, $good policy changes, $bad refused policies, $rotations new certificates,"
        echo "$(figure 100 handshakes) handshakes. Each answer was compared byte by byte with what one of the two policies says."
        echo
        echo '| done | admissions | wrong or missing | RSS | descriptors |'
        echo '|---|---|---|---|---|'
        for percent in 1 10 20 30 40 50 60 70 80 90 100; do
            echo "| $percent % | $(figure $percent admissions) | $(figure $percent failed) | $(figure $percent rss_kib) KiB | $(figure $percent descriptors) |"
        done
    } >"$OUT"
fi
finish
