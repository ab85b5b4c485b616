#!/usr/bin/env bash
# No file of ours is longer than 800 lines, and every C file opens by saying what it is for.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
limit=800

check() {
    local rc=0 f lines
    while IFS= read -r f; do
        case $f in
        *.c | *.h | *.sh | */Makefile | *.java | *.yaml | *.tpl) ;;
        *) continue ;;
        esac
        # Data is as long as it is: recorded reviews, rendered charts, dashboards.
        case $f in tests/cases/* | tests/e2e/*/rendered/* | deploy/*) continue ;; esac
        lines=$(wc -l <"$f")
        if [ "$lines" -gt "$limit" ]; then
            echo "$f: $lines lines, at most $limit; split it along a seam"
            rc=1
        fi
        case $f in
        webhook/*.[ch] | certs/*.[ch] | tests/*.[ch] | bench/*.[ch])
            if [[ $(head -c 2 "$f") != '/*' ]]; then
                echo "$f: open with a comment: what it is for, how it works, which thread runs it"
                rc=1
            fi
            ;;
        esac
    done < <(all_files)
    return "$rc"
}
bad_long() {
    mkdir webhook
    { echo '/* x */' && seq -f 'int x%g;' 800; } >webhook/a.c
}
bad_silent() {
    mkdir webhook
    echo 'int x;' >webhook/a.c
}
good_file() {
    mkdir webhook
    { echo '/* x */' && seq -f 'int x%g;' 799; } >webhook/a.c
}
lint_main "$@"
