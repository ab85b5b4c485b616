#!/usr/bin/env bash
# The control plane suite: real API server, real Helm 3 and Helm 4, real kubectl.
#
# What: builds or finds the tools, starts the control plane, runs every scenarios/NN-*.sh
# once with each Helm, and ends with `N passed, N failed`, counted in checks.
# How: a scenario is a process of its own and cleans up after itself; where it leaves a
# failed check, the logs that grew meanwhile are printed.
#
# Usage: run.sh [PATTERN…]       only scenarios whose file name contains a PATTERN
#   E2E_HELMS="3 4"              the Helms to use
#   E2E_KUBECONFIG=FILE          uses this cluster instead of starting one
#   NRW_BIN=FILE                 the webhook under test (default build/release/…)
#   E2E_KEEP=1                   keeps the folder with logs and keys
set -euo pipefail

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_REPO=$(cd "$E2E_ROOT/../.." && pwd)
E2E_LIB=$E2E_ROOT/lib
E2E_TMP=$(mktemp -d "${TMPDIR:-/tmp}/nvcf-registry-webhook-e2e.XXXXXX")
E2E_WEBHOOK_BIN=${NRW_BIN:-$E2E_REPO/build/release/nvcf-registry-webhook}
E2E_RESULTS=$E2E_TMP/results
export E2E_ROOT E2E_REPO E2E_LIB E2E_TMP E2E_WEBHOOK_BIN E2E_RESULTS
# shellcheck source=lib/cluster.sh
. "$E2E_LIB/cluster.sh"

finish() {
    local code=$?
    trap - EXIT
    # A first Ctrl-C ends the suite; a second must not interrupt the cleaning up.
    trap '' INT TERM
    cluster_stop
    if [ -n "${E2E_KEEP:-}" ]; then say "kept $E2E_TMP"; else rm -rf "$E2E_TMP"; fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

wanted() {
    local file=$1 pattern
    shift
    [ $# -gt 0 ] || return 0
    for pattern in "$@"; do
        [[ $file != *"$pattern"* ]] || return 0
    done
    return 1
}

# A scenario may say `# helms: 4` when it makes sense with that one only.
for_helm() {
    local helms
    helms=$(sed -n 's/^# helms: //p' "$1")
    [ -z "$helms" ] || [[ " $helms " == *" $2 "* ]]
}

count() { grep -c "^$1 " "$E2E_RESULTS" || true; }

# log_sizes / new_logs: what the logs gained since
log_sizes() { (cd "$E2E_TMP/log" 2>/dev/null && wc -c -- *.log) || true; }
new_logs() {
    local size file old
    while read -r size file; do
        [ "$file" != total ] || continue
        case $file in webhook.log | recorder.log | kube-apiserver.log) ;; *) continue ;; esac
        old=$(awk -v f="$file" '$2 == f { print $1 }' <<<"$1")
        [ "$size" -gt "${old:-0}" ] || continue
        echo "    ---- $file" >&2
        tail -c "+$((${old:-0} + 1))" "$E2E_TMP/log/$file" | grep -v ' I[0-9]\|^I[0-9]' |
            tail -n 30 | cut -c1-400 >&2 || true
    done < <(log_sizes)
}

# scenario FILE HELM
scenario() {
    local name started=$SECONDS failed logs
    name=$(basename "$1" .sh)
    E2E_LABEL="$name, Helm $2"
    E2E_HELM=$2
    export E2E_LABEL E2E_HELM
    echo "== $E2E_LABEL"
    failed=$(count fail)
    logs=$(log_sizes)
    bash "$1" || true
    if [ "$(count fail)" -gt "$failed" ]; then new_logs "$logs"; fi
    echo "   $((SECONDS - started)) s"
}

main() {
    local file helm
    [ -n "${NO_SETUP:-}" ] || "$E2E_REPO/tools/setup.sh" test e2e spring >&2
    if [ ! -x "$E2E_WEBHOOK_BIN" ]; then
        say "no webhook at $E2E_WEBHOOK_BIN: run make first"
        exit 2
    fi
    E2E_BIN=$("$E2E_ROOT/tools/build.sh")
    export E2E_BIN PATH=$E2E_BIN:$PATH
    say "tools ready after $SECONDS s"
    : >"$E2E_RESULTS"
    if ! cluster_start; then
        show_logs 40
        exit 2
    fi
    for file in "$E2E_ROOT"/scenarios/[0-9]*.sh; do
        wanted "${file##*/}" "$@" || continue
        for helm in ${E2E_HELMS:-3 4}; do
            for_helm "$file" "$helm" || continue
            scenario "$file" "$helm"
        done
    done
    if [ ! -s "$E2E_RESULTS" ]; then
        say "no scenario matches"
        exit 2
    fi
    sed -n 's/^fail /FAIL  /p; s/^skip /skip  /p' "$E2E_RESULTS"
    say "the suite took $SECONDS s"
    echo "$(count ok) passed, $(count fail) failed, $(count skip) skipped"
    [ "$(count fail)" -eq 0 ]
}

main "$@"
