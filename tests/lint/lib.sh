# shellcheck shell=bash
# Shared by the lints. A lint defines
#   check     looks at the tree in the working directory, prints one line per offence and
#             returns 1 if there was any; no output and 0 otherwise;
#   bad_*     each makes, in an empty directory, a tree that `check` must refuse;
#   good_*    each makes one that `check` must accept;
# and ends with `lint_main "$@"`. A lint that has no bad_* tree is itself refused: a check that
# cannot fail is no check. Counted: the check and every fixture, one each.
set -euo pipefail

# Every C source and header of ours.
c_files() { # [PATTERN…], default '*.c' and '*.h'
    local -a where=()
    local d
    for d in webhook certs tests bench; do
        [ ! -d "$d" ] || where+=("$d")
    done
    [ ${#where[@]} -gt 0 ] || return 0
    case ${1:-} in
    headers) find "${where[@]}" -name '*.h' -not -path '*/target/*' | sort ;;
    sources) find "${where[@]}" -name '*.c' -not -path '*/target/*' | sort ;;
    *) find "${where[@]}" -name '*.[ch]' -not -path '*/target/*' | sort ;;
    esac
}

# Every file that is, or would be, committed.
all_files() {
    if [ -e .git ]; then
        git ls-files -co --exclude-standard | while IFS= read -r f; do
            [ ! -f "$f" ] || printf '%s\n' "$f"
        done
    else
        find . -type f | sed 's|^\./||' | sort
    fi
}

# C text with comments and string contents blanked, line numbers kept.
code_only() { # FILE
    awk '
    {
        out = ""; n = length($0); i = 1
        while (i <= n) {
            c = substr($0, i, 1); two = substr($0, i, 2)
            if (comment) {
                if (two == "*/") { comment = 0; i += 2 } else i++
                continue
            }
            if (two == "/*") { comment = 1; i += 2; continue }
            if (two == "//") break
            if (c == "\"" || c == "\047") {
                q = c; out = out q; i++
                while (i <= n) {
                    c = substr($0, i, 1)
                    if (c == "\\") { i += 2; continue }
                    i++
                    if (c == q) break
                }
                out = out q
                continue
            }
            out = out c; i++
        }
        print out
    }' "$1"
}

lint_main() {
    local passed=0 failed=0 name out rc dir root bad=0 scratch
    name=$(basename "$0" .sh)
    root=$(cd "$(dirname "$0")/../.." && pwd)
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # the name is wanted now
    trap "rm -rf '$scratch'" EXIT
    if [ "${1:-}" != --self-test ]; then
        rc=0
        out=$(cd "${1:-$root}" && check 2>&1) || rc=$?
        if [ "$rc" -eq 0 ]; then
            passed=1
        else
            printf '%s\n' "$out"
            echo "lint $name: see above"
            failed=1
        fi
    fi
    for fixture in $(compgen -A function | grep -E '^(bad|good)_' || true); do
        dir=$scratch/$fixture
        mkdir -p "$dir"
        (cd "$dir" && "$fixture")
        rc=0
        out=$(cd "$dir" && check 2>&1) || rc=$?
        case $fixture in
        bad_*)
            bad=1
            if [ "$rc" -ne 0 ]; then
                passed=$((passed + 1))
            else
                echo "lint $name: self-test $fixture: the check did not see the offence"
                failed=$((failed + 1))
            fi
            ;;
        good_*)
            if [ "$rc" -eq 0 ]; then
                passed=$((passed + 1))
            else
                printf '%s\n' "$out"
                echo "lint $name: self-test $fixture: refused although nothing is wrong"
                failed=$((failed + 1))
            fi
            ;;
        esac
    done
    if [ "$bad" -eq 0 ]; then
        echo "lint $name: has no bad_* fixture"
        failed=$((failed + 1))
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
