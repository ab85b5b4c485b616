#!/usr/bin/env bash
# core/ and certs/plan are pure: values in, values out. Proven over the object files, where no
# macro hides anything: what they call is on the list below or in a util file that is itself free
# of I/O, and they keep no writable data. Compile first (make).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# libc without files, clocks, locale, environment or hidden state. (snprintf's locale reaches only
# floating point and grouping, which the format check below would show.)
libc='memcpy|memmove|memset|memcmp|memchr|memrchr|memmem|strlen|strnlen|strcmp|strncmp|strchr|strrchr|strstr'
libc+='|strspn|strcspn|strpbrk|qsort|bsearch|snprintf|vsnprintf'
# What the compiler adds by itself.
libc+='|__(memcpy|memmove|memset|snprintf|vsnprintf)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
# util files whose functions are pure but for the heap.
pure_util='arena buf err mem num str strmap utf8'

check() {
    local objects=build/release rc=0 o name
    local -a pure=() allowed=()
    for o in "$objects"/webhook/core/*.o "$objects"/certs/plan.o; do
        [ ! -e "$o" ] || pure+=("$o")
    done
    [ ${#pure[@]} -gt 0 ] || return 0
    allowed=("${pure[@]}")
    for name in $pure_util; do
        [ ! -e "$objects/webhook/util/$name.o" ] || allowed+=("$objects/webhook/util/$name.o")
    done
    local own
    own=$(nm -g --defined-only "${allowed[@]}" | awk 'NF == 3 { print $3 }' | sort -u)
    for o in "${pure[@]}"; do
        # Sources that are gone leave objects behind.
        if [ ! -e "$(sed "s|^$objects/||; s|\.o\$|.c|" <<<"$o")" ]; then
            continue
        fi
        while IFS= read -r name; do
            echo "$o: calls $name, which is neither pure libc nor pure util"
            rc=1
        done < <(nm -u "$o" | awk '{ print $NF }' | grep -vxE "$libc" | grep -vxF "$own" || true)
        # .data.rel.ro holds const tables with pointers and is read-only once loaded.
        while read -r name size; do
            echo "$o: $size bytes of writable data in $name; core keeps no state"
            rc=1
        done < <(size -A "$o" | awk '$1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print $1, $2 }')
    done
    return "$rc"
}

object() { # SOURCE TEXT
    mkdir -p "$(dirname "$1")" "build/release/$(dirname "$1")"
    printf '%s\n' "$2" >"$1"
    gcc -O1 -fPIE -c "$1" -o "build/release/${1%.c}.o"
}
bad_clock() { object webhook/core/a.c '#include <time.h>
long f(void); long f(void) { return time(0); }'; }
bad_file() { object webhook/core/a.c '#include <stdio.h>
void f(void); void f(void) { puts("x"); }'; }
bad_locale() { object webhook/core/a.c '#include <ctype.h>
int f(int c); int f(int c) { return isalpha(c); }'; }
bad_state() { object webhook/core/a.c 'int f(void); int f(void) { static int n; return ++n; }'; }
bad_log() {
    object webhook/util/log.c 'void log_line(void); void log_line(void) {}'
    object certs/plan.c 'void log_line(void); void f(void); void f(void) { log_line(); }'
}
good_tables_and_util() {
    object webhook/util/str.c 'int str_x(const char *s); int str_x(const char *s) { return *s; }'
    object webhook/core/b.c 'int g(void); int g(void) { return 1; }'
    object webhook/core/a.c '#include <string.h>
int g(void); int str_x(const char *s);
static const char *const names[] = {"a", "b"};
int f(const char *s, int i); int f(const char *s, int i) { return strcmp(s, names[i]) + g() + str_x(s); }'
}
lint_main "$@"
