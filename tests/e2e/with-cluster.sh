#!/usr/bin/env bash
# Runs a command beside a real control plane of its own, which ends with the command.
#
# What it finds: KUBECONFIG (an administrator's), on the PATH helm (4), kubectl and the rest
# of the suite's tools, and E2E_TMP, a folder with logs and keys that goes away afterwards.
# Usage: with-cluster.sh COMMAND…        such as: with-cluster.sh bash
set -euo pipefail

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_REPO=$(cd "$E2E_ROOT/../.." && pwd)
E2E_LIB=$E2E_ROOT/lib
E2E_TMP=$(mktemp -d "${TMPDIR:-/tmp}/nvcf-registry-webhook-e2e.XXXXXX")
export E2E_ROOT E2E_REPO E2E_LIB E2E_TMP
# shellcheck source=lib/cluster.sh
. "$E2E_LIB/cluster.sh"

finish() {
    local code=$?
    trap - EXIT
    cluster_stop
    rm -rf "$E2E_TMP"
    exit "$code"
}
trap finish EXIT

[ $# -gt 0 ] || {
    echo 'with-cluster.sh: say what to run, such as: with-cluster.sh bash' >&2
    exit 2
}
E2E_BIN=$("$E2E_ROOT/tools/build.sh")
export E2E_BIN PATH=$E2E_BIN/helm4.d:$E2E_BIN:$PATH
cluster_start || {
    show_logs 40
    exit 2
}
"$@"
