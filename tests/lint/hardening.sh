#!/usr/bin/env bash
# The release program is what the flags of the Makefile promise: position independent, all
# relocations resolved and read-only before main, no executable stack, stack protector, checked
# string functions, and control-flow protection on x86-64. Read from the ELF file, as attackers do.
# And CFLAGS of whoever packages it come on top of ours, in place of none.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

check() {
    local bin=build/release/nvcf-registry-webhook rc=0 headers dynamic symbols compile
    [ -e webhook/main.c ] || return 0
    if [ ! -e "$bin" ]; then
        echo "$bin: is not there; run make first"
        return 1
    fi
    headers=$(readelf -hlW "$bin")
    dynamic=$(readelf -dW "$bin")
    symbols=$(readelf --dyn-syms -W "$bin")
    want() { # WHAT TEXT PATTERN
        grep -qE "$3" <<<"$2" || {
            echo "$bin: $1"
            rc=1
        }
    }
    want 'is not position independent' "$headers" 'Type: +DYN'
    want 'has no read-only relocations' "$headers" 'GNU_RELRO'
    want 'does not bind at start (-z now)' "$dynamic" 'NOW'
    want 'has no stack protector' "$symbols" '__stack_chk_fail'
    want 'has no checked string functions (FORTIFY)' "$symbols" '__[a-z]+_chk@'
    want 'may execute its stack' "$headers" 'GNU_STACK.* RW '
    if grep -q 'X86-64' <<<"$headers"; then
        # The instruction, not the ELF note: the linker drops the note where the C library's start
        # files lack it, as Debian's do.
        want 'has no control-flow protection' "$(objdump -d --disassemble=main "$bin")" 'endbr64'
    fi
    if grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic"; then
        echo "$bin: carries a library search path"
        rc=1
    fi
    # Kept first, read after: `make | grep -q` fails when grep is done before make is.
    [ ! -e Makefile ] || compile=$(make -n -W webhook/app/version.c CFLAGS=-DMINE NO_SETUP=1 build/release/webhook/app/version.o)
    if [ -e Makefile ] && ! grep -q -- '-fPIE.*-DNRW_COMMIT.*-DMINE' <<<"$compile"; then
        echo "Makefile: CFLAGS=… on the command line replaces flags of ours"
        rc=1
    fi
    return "$rc"
}
built() { # FLAGS…
    mkdir -p webhook build/release
    printf '#include <stdio.h>\n#include <string.h>\nint main(int n, char **v)\n{\n    char b[64];\n    memset(b, 0, (size_t)n);\n    snprintf(b, (size_t)n, "%%s", v[0]);\n    return puts(b);\n}\n' >webhook/main.c
    gcc webhook/main.c -o build/release/nvcf-registry-webhook "$@"
}
# shellcheck disable=SC2054 # the linker's own commas
full=(-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-all -fPIE -pie
    -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
[ "$(uname -m)" != x86_64 ] || full+=(-fcf-protection=full)
bad_plain() { built -O0 -no-pie -fno-stack-protector; }
bad_not_pie() { built "${full[@]}" -fno-pie -no-pie; }
bad_lazy() { built "${full[@]}" -Wl,-z,lazy; }
bad_no_fortify() { built "${full[@]}" -U_FORTIFY_SOURCE; }
bad_no_cfi() {
    [ "$(uname -m)" = x86_64 ] || full=(-O0) # elsewhere any other offence will do
    built "${full[@]}" -fcf-protection=none
}
bad_execstack() { built "${full[@]}" -Wl,-z,execstack; }
bad_absent() { mkdir webhook && echo 'int main(void) { return 0; }' >webhook/main.c; }
good_program() { built "${full[@]}"; }
lint_main "$@"
