# shellcheck shell=bash
# Checks: each prints one line and goes into $E2E_RESULTS, from which run.sh counts.
#
# run, expect_ok and expect_refused keep the command's whole output, as the user's terminal
# shows it, in $OUT and its exit code in $RC. Left to others: what is checked.

OUT=
RC=0

ok() {
    echo "    ok    $1"
    echo "ok $E2E_LABEL: $1" >>"$E2E_RESULTS"
}

fail() {
    echo "    FAIL  $1"
    echo "fail $E2E_LABEL: $1" >>"$E2E_RESULTS"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/          | /'
}

skip() {
    echo "    skip  $1: $2"
    echo "skip $E2E_LABEL: $1: $2" >>"$E2E_RESULTS"
}

# run COMMAND…
run() {
    RC=0
    OUT=$("$@" 2>&1) || RC=$?
}

# check WHAT COMMAND…
check() {
    local what=$1
    shift
    run "$@"
    if [ "$RC" -eq 0 ]; then ok "$what"; else fail "$what" "$*: exit code $RC" "$OUT"; fi
}

expect_ok() { check "$@"; }

# expect_refused WHAT COMMAND…: it has to fail, and because of the webhook
expect_refused() {
    local what=$1
    shift
    run "$@"
    if [ "$RC" -ne 0 ] && [[ $OUT == *"denied the request"* ]]; then
        ok "$what"
    else
        fail "$what" "$*: exit code $RC, wanted a refusal by the webhook" "$OUT"
    fi
}

# expect_text WHAT TEXT…: each in the output of the last command
expect_text() {
    local what=$1 text
    shift
    for text in "$@"; do
        if [[ $OUT != *"$text"* ]]; then
            fail "$what" "no '$text' in:" "$OUT"
            return 0
        fi
    done
    ok "$what"
}

expect_no_text() {
    if [[ $OUT == *"$2"* ]]; then fail "$1" "'$2' in:" "$OUT"; else ok "$1"; fi
}

# same WHAT WANTED GOT
same() {
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "wanted $2" "got    $3"; fi
}
