#!/usr/bin/env bash
# Every header compiles alone, with all warnings, and twice in a row; its guard is named after
# its path (webhook/util/err.h -> NRW_UTIL_ERR_H).
set -euo pipefail
source "$(dirname "$0")/lib.sh"
read -ra packages <<<"$(pkg-config --cflags libmicrohttpd openssl jansson libcurl yaml-0.1 cmocka)"

compile() { # FILE…
    local f rc=0
    for f in "$@"; do
        printf '#include "%s"\n#include "%s"\n' "$f" "$f" |
            ${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Iwebhook -I. ${packages[@]+"${packages[@]}"} \
                -Wall -Wextra -Wundef -Wstrict-prototypes -Werror -fsyntax-only -x c - || rc=1
    done
    return "$rc"
}
check() {
    local rc=0 f guard
    local -a files=()
    mapfile -t files < <(c_files headers)
    compile ${files[@]+"${files[@]}"} || rc=1
    for f in ${files[@]+"${files[@]}"}; do
        guard=NRW_$(sed 's|^webhook/||; s|[^A-Za-z0-9]|_|g' <<<"$f" | tr '[:lower:]' '[:upper:]')
        # Tests have no rooms to keep apart; there the last part is enough.
        case $f in tests/*) guard="NRW_[A-Z0-9_]*${guard##*_"$(basename "$(dirname "$f")" | tr '[:lower:]' '[:upper:]')"_}" ;; esac
        if ! grep -q "^#ifndef $guard\$" "$f" || ! grep -q "^#define $guard\$" "$f"; then
            echo "$f: the include guard is to be named $guard"
            rc=1
        fi
    done
    return "$rc"
}
header() { # FILE GUARD TEXT
    mkdir -p "$(dirname "$1")"
    printf '#ifndef %s\n#define %s\n%s\n#endif\n' "$2" "$2" "$3" >"$1"
}
bad_needs_another() { header webhook/util/a.h NRW_UTIL_A_H 'size_t f(void);'; }
bad_guard() { header webhook/util/a.h UTIL_A 'int f(void);'; }
bad_guard_in_tests() { header tests/unit/support/a.h A_H 'int f(void);'; }
good_guard_in_tests() { header tests/unit/support/a_b.h NRW_TESTS_A_B_H 'int f(void);'; }
good_header() { header webhook/util/a.h NRW_UTIL_A_H '#include <stddef.h>
size_t f(void);'; }
lint_main "$@"
