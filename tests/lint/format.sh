#!/usr/bin/env bash
# Every C file looks as .clang-format says. `make format` mends it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
style=$(cd "$(dirname "$0")/../.." && pwd)/.clang-format

check() {
    c_files | xargs -r clang-format --dry-run -Werror --style="file:$style"
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
