#!/usr/bin/env bash
# The case folders through `review -o json`: policy.yaml and input.* in, want.json out.
#   tests/cases/run.sh [NAME…]            compares
#   tests/cases/run.sh --update [NAME…]   writes want.json anew; look at the difference
# want.json has one line per reviewed object: what is decided and why, and the patch; the
# wording of messages is left to the unit tests. The same folders go through the decision in
# process and through the running server in tests/unit/test_cases.c.
# Here each case also proves: the exit code fits, a second pass over the patched output
# changes nothing, and the same input gives the same bytes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
webhook=${NRW_BINARY:-$root/build/${NRW_FLAVOUR:-release}/nvcf-registry-webhook}
update=
if [ "${1:-}" = --update ]; then
    update=yes
    shift
fi
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
passed=0 failed=0
projection='{kind,namespace,name,target,allowed,changed,
    findings:[.findings[]|{finding,severity,key,source,path}],patch}'

complain() { # NAME TEXT
    echo "not ok $1: $2"
    failed=$((failed + 1))
}

one() { # FOLDER
    local name=${1##*/} rc=0 want_rc=0
    local -a inputs=("$1"/input.*)
    "$webhook" review -p "$1/policy.yaml" -o json "${inputs[@]}" >"$scratch/out" 2>"$scratch/err" || rc=$?
    if ! jq -c "$projection" "$scratch/out" >"$scratch/got" || [ "$rc" -gt 1 ]; then
        complain "$name" "exit code $rc, $(head -c 300 "$scratch/err")"
        return
    fi
    if [ -n "$update" ]; then
        cp "$scratch/got" "$1/want.json"
    elif ! diff -u "$1/want.json" "$scratch/got" >"$scratch/diff"; then
        complain "$name" "differs from want.json"
        cat "$scratch/diff"
        return
    fi
    jq -e -s 'all(.[]; .allowed)' "$scratch/got" >/dev/null || want_rc=1
    if [ "$rc" -ne "$want_rc" ]; then
        complain "$name" "exit code $rc instead of $want_rc"
        return
    fi
    "$webhook" review -p "$1/policy.yaml" -o json "${inputs[@]}" >"$scratch/again" 2>/dev/null || true
    if ! cmp -s "$scratch/out" "$scratch/again"; then
        complain "$name" "the same input gave other bytes"
        return
    fi
    "$webhook" review -p "$1/policy.yaml" -o patched "${inputs[@]}" >"$scratch/patched.yaml" 2>/dev/null || true
    if [ -s "$scratch/patched.yaml" ] && [ "$want_rc" -eq 0 ]; then
        rc=0
        "$webhook" review -p "$1/policy.yaml" -o json "$scratch/patched.yaml" >"$scratch/second" 2>"$scratch/err" || rc=$?
        if [ "$rc" -gt 1 ] || ! jq -e -s 'all(.[]; .changed | not)' "$scratch/second" >/dev/null; then
            complain "$name" "a second pass still changes something (exit code $rc)"
            cat "$scratch/second" "$scratch/err"
            return
        fi
    fi
    passed=$((passed + 1))
}

# share NUMBER OF FOLDER…: every OF-th of them
share() {
    local number=$1 of=$2 i
    shift 2
    scratch=$all/$number
    mkdir "$scratch"
    for ((i = number + 1; i <= $#; i += of)); do one "${!i}"; done
    echo "$passed $failed" >"$all/$number.count"
}

if [ $# -gt 0 ]; then
    folders=("${@/#/$here/}")
else
    folders=("$here"/*/)
    folders=("${folders[@]%/}")
fi
jobs=$(nproc 2>/dev/null || echo 2)
for ((n = 0; n < jobs; n++)); do share "$n" "$jobs" "${folders[@]}" >"$all/$n.out" 2>&1 & done
wait
cat "$all"/*.out
for ((n = 0; n < jobs; n++)); do
    p=0 f=1 # a share that died
    [ ! -s "$all/$n.count" ] || read -r p f <"$all/$n.count"
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
