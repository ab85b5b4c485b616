#!/usr/bin/env bash
# Functions that this project does not call, and the places outside of which some may not be
# called. Comments and strings do not count.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# Unbounded, silently truncating, stateful or a shell.
everywhere='strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|strtok|strtok_r|gets|atoi|atol|atoll|atof|system|popen|tmpnam|mktemp|alloca|setjmp|longjmp|localtime|gmtime|ctime|asctime|setlocale'
# In what ships: guessable randomness (tests want theirs repeatable);
shipped='rand|srand|random|srandom|drand48'
# the heap has one door, which tests can shut ...
heap='malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf'
# ... a library does not end the process ...
ending='exit|_exit|abort|quick_exit|assert'
# ... and only the edge speaks to people.
speaking='printf|vprintf|puts|putchar|perror|fprintf|vfprintf|fputs|fputc|dprintf'

calls() { # FILE PATTERN WHY; the file's code is in $code
    local hits
    hits=$(grep -nE "(^|[^A-Za-z0-9_])($2)[ \t]*\(" <<<"$code" | grep -vE '^[0-9]+:[ \t]*#[ \t]*define' || true)
    [ -n "$hits" ] || return 0
    sed "s|^|$1:|; s|\$|    <- $3|" <<<"$hits"
    return 1
}
check() {
    local rc=0 f code
    for f in $(c_files); do
        code=$(code_only "$f")
        calls "$f" "$everywhere" "banned" || rc=1
        case $f in webhook/* | certs/*) ;; *) continue ;; esac
        calls "$f" "$shipped" "guessable: use RAND_bytes" || rc=1
        case $f in
        webhook/util/mem.[ch]) ;;
        *) calls "$f" "$heap" "use util/mem.h" || rc=1 ;;
        esac
        case $f in
        webhook/main.c | webhook/cli/*) ;;
        *)
            # A library that found its own state broken must not be returned to.
            [ "$f" = webhook/net/http.c ] || calls "$f" "$ending" "an error travels; only main and cli end the process" || rc=1
            case $f in
            webhook/util/log.c) ;;
            *) calls "$f" "$speaking" "only main, cli and util/log print" || rc=1 ;;
            esac
            ;;
        esac
    done
    return "$rc"
}
file() { # FILE TEXT
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >"$1"
}
bad_strcpy() { file webhook/cli/a.c 'void f(char *a, char *b) { strcpy (a, b); }'; }
bad_in_tests() { file tests/unit/test_a.c 'int f(char *b) { return atoi(b); }'; }
bad_malloc() { file certs/a.c 'void *f(void) { return malloc(1); }'; }
bad_rand() { file webhook/net/a.c 'int f(void) { return rand(); }'; }
bad_exit() { file webhook/net/a.c 'void f(void) { exit(1); }'; }
bad_print() { file webhook/admit/a.c 'void f(void) { printf("x"); }'; }
good_file() {
    file webhook/util/mem.c 'void *f(void) { return malloc(1); }'
    file webhook/cli/a.c 'void f(void) { printf("x"); exit(0); }'
    file webhook/net/a.c '/* strcpy(a, b) */
// free(x)
void f(void) { buf_printf("strcpy(%s)", mem_free(x), snprintf(a)); }
/* a long
   strcat(comment) */'
}
lint_main "$@"
