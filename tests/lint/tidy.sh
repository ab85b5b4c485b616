#!/usr/bin/env bash
# clang-tidy with the short list in .clang-tidy. Its verdict on a file depends on nothing but
# the preprocessed text and the list, so files that passed are remembered by that hash in the
# user's cache folder, and a second run, also in another clone, takes seconds.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
self=$root/tests/lint/tidy.sh
config=$root/.clang-tidy
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nvcf-registry-webhook/tidy
flags=(-std=gnu11 -D_GNU_SOURCE -Iwebhook -I. -DNRW_VERSION='"x"' -DNRW_COMMIT='"x"' -Wno-everything)
read -ra packages <<<"$(pkg-config --cflags libmicrohttpd openssl jansson libcurl yaml-0.1 cmocka)"
flags+=(${packages[@]+"${packages[@]}"})

tidy_one() { # FILE
    local key
    key=$({
        clang-tidy --version
        cat "$config"
        clang -E "${flags[@]}" "$1"
    } 2>/dev/null | sha256sum | cut -d' ' -f1)
    [ ! -e "$cache/$key" ] || return 0
    if nice clang-tidy --quiet --config-file="$config" "$1" -- "${flags[@]}" >"$cache/$key.$$" 2>&1; then
        rm -f "$cache/$key.$$"
        : >"$cache/$key"
    else
        # Where and what; the analyzer's path to it shows when clang-tidy is run by hand.
        grep -E '(error|warning): ' "$cache/$key.$$" || cat "$cache/$key.$$"
        rm -f "$cache/$key.$$"
        return 1
    fi
}
check() {
    mkdir -p "$cache"
    # The code that ships; tests are compiled with all warnings and run under the sanitizers.
    c_files sources | { grep -E '^(webhook|certs)/' || true; } |
        xargs -r -P "$(nproc)" -n 1 "$self" --one
}
bad_uninitialized() {
    mkdir webhook
    printf 'int f(int n);\nint f(int n)\n{\n    int x;\n    if (n)\n        x = n;\n    return x;\n}\n' >webhook/a.c
}
good_file() {
    mkdir webhook
    printf 'int f(const int *p);\nint f(const int *p)\n{\n    return p ? *p : 0;\n}\n' >webhook/a.c
}
if [ "${1:-}" = --one ]; then
    tidy_one "$2"
    exit
fi
lint_main "$@"
