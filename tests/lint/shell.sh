#!/usr/bin/env bash
# Runs shellcheck over every shell script, and each stops at the first error.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

scripts() {
    all_files | while IFS= read -r f; do
        case $f in
        *.sh) echo "$f" ;;
        */run) echo "$f" ;;
        *.*) ;;
        *) if head -c 64 "$f" 2>/dev/null | head -1 | grep -qaE '^#!.*sh\b'; then echo "$f"; fi ;;
        esac
    done | sort -u
}
check() {
    local rc=0 f
    while IFS= read -r f; do
        # SC2119, SC2120, SC2317: take functions that are called by name, or with optional arguments,
        # for mistakes. SC1090, SC1091: files that are found at run time.
        shellcheck --severity=style --shell=bash -x -P SCRIPTDIR -e SC1090,SC1091,SC2119,SC2120,SC2317 "$f" || rc=1
        # .ci/run goes on after a failure on purpose, so -e is not asked of it.
        if ! grep -qE '^set -(euo|uo) pipefail$' "$f" && ! grep -qE '^# shellcheck shell=bash' "$f"; then
            echo "$f: begin with: set -euo pipefail"
            rc=1
        fi
    done < <(scripts)
    return "$rc"
}
bad_quote() {
    # shellcheck disable=SC2016 # the fixture's own text
    printf '#!/usr/bin/env bash\nset -euo pipefail\nrm -rf $1\n' >a.sh
}
bad_goes_on() { printf '#!/usr/bin/env bash\necho x\n' >a.sh; }
bad_without_extension() { printf '#!/bin/bash\necho x\n' >tool; }
good_script() { printf '#!/usr/bin/env bash\nset -euo pipefail\necho x\n' >a.sh; }
lint_main "$@"
