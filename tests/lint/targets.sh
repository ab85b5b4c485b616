#!/usr/bin/env bash
# Every target that the Makefile's first lines promise does something: one that is only
# phony, without a recipe, says "Nothing to be done" and succeeds.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

promised() {
    sed -n 's/^#   make //p' Makefile | awk '
        { sub(/  .*/, ""); n = split($0, parts, "|") }
        { for (i = 1; i <= n; i++) { split(parts[i], word, " "); if (word[1] ~ /^[a-z][a-z0-9-]*$/) print word[1] } }' | sort -u
}

check() {
    local target said rc=0
    [ -e Makefile ] || return 0
    for target in $(promised); do
        said=$(make -n NO_SETUP=1 "$target" 2>&1) || true
        case $said in
        *'Nothing to be done for'* | *'No rule to make target'*)
            echo "Makefile: make $target does nothing"
            rc=1
            ;;
        esac
    done
    return "$rc"
}
bad_phony() { printf '#   make soak [N=…]    what takes long\n.PHONY: soak\n' >Makefile; }
bad_absent() { printf '#   make a | b     two\na:\n\techo a\n' >Makefile; }
good_both() { printf '#   make a | b     two\na b:\n\techo a\n' >Makefile; }
lint_main "$@"
