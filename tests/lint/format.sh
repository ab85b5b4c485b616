#!/usr/bin/env bash
# Every C file looks as .clang-format says. `make format` mends it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
style=$(cd "$(dirname "$0")/../.." && pwd)/.clang-format

check() {
    local out
    # Once for all files; only when that fails, which they are.
    if out=$(c_files | xargs -r clang-format --dry-run -Werror --style="file:$style" 2>&1); then
        return 0
    fi
    printf '%s\n' "$out" | sed -nE 's/^([^ :]+):[0-9]+:[0-9]+: error: code should be.*/\1: run make format/p' | sort -u
    return 1
}
bad_brace() {
    mkdir webhook
    printf 'int f(void) {\n  return 1;\n}\n' >webhook/a.c
}
good_file() {
    mkdir webhook
    printf 'int f(void)\n{\n    return 1;\n}\n' >webhook/a.c
}
lint_main "$@"
