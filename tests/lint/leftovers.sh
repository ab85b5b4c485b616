#!/usr/bin/env bash
# Nothing unfinished and nothing of the machine it was written on: no notes to oneself, no paths
# of this checkout or of a home, no names of this machine or of its package mirrors, no binaries.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# What must not be named here is taken from where we run, so that nothing needs to be listed.
private_words() {
    local top url host
    # The first folder of this checkout's path, unless every system has one of that name.
    top=$(cut -d/ -f2 <<<"$PWD")
    case $top in
    bin | boot | dev | etc | home | lib | media | mnt | opt | proc | root | run | srv | sys | tmp | usr | var | builds | github | workspace | src | '') ;;
    *) echo "/$top/" ;;
    esac
    for url in "${GOPROXY:-}" "${PIP_INDEX_URL:-}" "${NPM_CONFIG_REGISTRY:-}" "${npm_config_registry:-}" \
        "${https_proxy:-}" "${HTTPS_PROXY:-}" "${http_proxy:-}"; do
        host=$(sed -nE 's|^[a-z+]+://([^/@]*@)?([^/:,|]+).*|\2|p' <<<"$url")
        case $host in
        '' | proxy.golang.org | pypi.org | registry.npmjs.org | localhost | 127.0.0.1) ;;
        *) echo "$host" ;;
        esac
    done
    host=$(hostname 2>/dev/null || true)
    # Short names are words.
    [ ${#host} -lt 8 ] || echo "$host"
}
# Spelt so that this file does not contain them.
notes="TO""DO|FIX""ME|X""XX"

check() {
    local rc=0 words hits f
    local -a files=()
    mapfile -t files < <(all_files)
    [ ${#files[@]} -gt 0 ] || return 0
    words=$(private_words)
    if [ -n "$words" ] && hits=$(grep -nIF -e "$words" -- "${files[@]}" /dev/null); then
        printf '%s\n' "$hits" '^ a path or name of this machine'
        rc=1
    fi
    # /home/app is no machine's: NVIDIA's images have it.
    if hits=$(grep -nIP -e '(?<![A-Za-z0-9_./-])/(root|home/(?!app/)[a-z0-9_-]+)/' -- "${files[@]}" /dev/null |
        grep -v '^tests/lint/leftovers\.sh:'); then
        printf '%s\n' "$hits" '^ a path of one machine'
        rc=1
    fi
    if hits=$(grep -nIwE -e "$notes" -- "${files[@]}" /dev/null | grep -vE '^[^:]*go\.sum:'); then
        printf '%s\n' "$hits" '^ finish it or file an issue'
        rc=1
    fi
    for f in "${files[@]}"; do
        case $f in tests/fuzz/* | *.png) continue ;; esac # inputs are bytes
        if [ -s "$f" ] && ! grep -qIm1 '' "$f"; then
            echo "$f: binary files are not committed"
            rc=1
        fi
        if [ "$(stat -c %s "$f")" -gt 1048576 ]; then
            echo "$f: larger than 1 MiB"
            rc=1
        fi
    done
    return "$rc"
}
bad_note() { echo "/* TO""DO: later */" >a.c; }
bad_home() { echo 'see /home/someone/x' >README.md; }
bad_root() { echo 'cp /root/key .' >README.md; }
bad_binary() { printf '\x7fELF\0\0\1' >tool; }
good_tree() { echo 'todos are fine in prose, and so are /usr/share/x and /home/app/x' >README.md; }
lint_main "$@"
