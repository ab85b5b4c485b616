#!/usr/bin/env bash
# What a request costs, in instructions, which a busy machine does not change: callgrind counts them
# over bench/repeat, and bench/instructions.tsv has what they were. More than 3 % above that is a
# failure, until it is explained:
#   tests/lint/instructions.sh --update 'WHY'   writes the counts anew, with the reason beside those
#                                               that rose, to be committed with what made them rise
# The counts also must not grow faster than what is asked for (growth, below).
#
# Counts compare only with the same compiler, C library and jansson: with others this is skipped,
# and says so. The environment is empty, the hash seed fixed, and libc is told to use what every
# x86-64 has, so that the processor does not matter either.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${NRW_BUILD:-build/release}
build=${build#"$PWD"/}
recorded=bench/instructions.tsv
reviews=tests/e2e/recorded
limit=3 # per cent
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# CASE of bench/repeat and how many requests are counted.
cases=(
    'create:0 20' 'size:17408 20' 'size:65536 10' 'decide:17408 20' 'validate:17408 20'
    'registries:16 2' 'registries:256 1' 'containers:10 10' 'containers:100 2'
    'variables:100 5' 'variables:1000 1' 'declaring:100 2' 'declaring:1000 1'
)
# Smaller case, larger case, by how much more it is.
growth=(
    'registries:16 registries:256 16' 'containers:10 containers:100 10'
    'variables:100 variables:1000 10' 'declaring:100 declaring:1000 10'
)

count() { # CASE TIMES -> a row "case instructions" in $scratch/CASE
    local review=$reviews/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json total
    [ "$1" != create:0 ] || review=$reviews/kubectl-apply-server.03-mutate-CREATE-Deployment.json
    env -i PATH=/usr/bin:/bin LC_ALL=C \
        GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-BMI2,-MOVBE,-AVX_Fast_Unaligned_Load \
        valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect=measured --toggle-collect=measured_decide \
        "$build/bench/repeat" "$1" "$2" "$review" >"$scratch/log.$1" 2>&1 || return 1
    total=$(sed -n 's/^.*Collected : \([0-9]*\).*$/\1/p' "$scratch/log.$1")
    [ -n "$total" ] || return 1
    printf '%s\t%d\n' "$1" $((total / $2)) >"$scratch/row.$1"
}

count_all() { # -> $scratch/counts; false: valgrind or bench/repeat failed
    local entry name times jobs=0 rc=0
    for entry in "${cases[@]}"; do
        read -r name times <<<"$entry"
        if [ "$jobs" -ge 2 ]; then
            wait -n || rc=1
            jobs=$((jobs - 1))
        fi
        count "$name" "$times" &
        jobs=$((jobs + 1))
    done
    while [ "$jobs" -gt 0 ]; do
        wait -n || rc=1
        jobs=$((jobs - 1))
    done
    [ "$rc" -eq 0 ] || { cat "$scratch"/log.* >&2; return 1; }
    for entry in "${cases[@]}"; do cat "$scratch/row.${entry% *}"; done >"$scratch/counts"
}

versions() { # compiler, libc, jansson and machine, in one line with tabs
    "$build/bench/repeat" --versions | cut -f2 | paste -sd'\t' | tr -d '\n'
    printf '\t%s\n' "$(uname -m)"
}

# compare RECORDED COUNTS -> a line for each case that rose, and 1 if there was any
compare() {
    awk -F'\t' -v limit="$limit" '
        FNR == 1 && NR == 1 { next }
        NR == FNR { was[$1] = $2; next }
        !($1 in was) { printf "FAIL %s: not in the record; add it with --update\n", $1; bad = 1; next }
        {
            change = ($2 - was[$1]) * 100 / was[$1]
            if (change > limit) {
                printf "FAIL %s: %d instructions per request, %d before: %.1f %% more, at most %s\n", \
                    $1, $2, was[$1], change, limit
                bad = 1
            } else if (change < -limit)
                printf "note %s: %d instructions per request, %d before; write it down with --update\n", \
                    $1, $2, was[$1]
        }
        END { exit bad }' "$1" "$2"
}

# grown COUNTS -> a line for each growth that is more than linear, and 1 if there was any.
# The slack is for tables that double.
grown() {
    printf '%s\n' "${growth[@]}" | awk '
        NR == FNR { count[$1] = $2; next }
        !($1 in count) || !($2 in count) { printf "FAIL %s, %s: not counted\n", $1, $2; bad = 1; next }
        count[$2] > 1.1 * $3 * count[$1] {
            printf "FAIL %s takes %.1f times what %s takes, for %s times as much\n", \
                $2, count[$2] / count[$1], $1, $3
            bad = 1
        }
        END { exit bad }' "$1" -
}

update() { # WHY
    [ -n "$1" ] || { echo "instructions: say why: --update 'WHY'" >&2; exit 2; }
    [ -e "$recorded" ] || : >"$recorded"
    {
        printf 'case\tinstructions\tcompiler\tlibc\tjansson\tmachine\twhy\n'
        awk -F'\t' -v OFS='\t' -v versions="$(versions)" -v why="$1" -v limit="$limit" '
            FILENAME == ARGV[1] { was[$1] = $2; reason[$1] = $7; next }
            {
                rose = !($1 in was) || $2 > was[$1] * (1 + limit / 100)
                print $1, $2, versions, rose ? why : reason[$1]
            }' "$recorded" "$scratch/counts"
    } >"$scratch/new"
    mv "$scratch/new" "$recorded"
    cat "$recorded"
}

self_test() { # the comparison itself, on figures that must and must not pass
    local bad=0
    printf 'case\tinstructions\na\t1000\nb\t1000\n' >"$scratch/record"
    printf 'a\t1029\nb\t500\n' >"$scratch/good"
    compare "$scratch/record" "$scratch/good" >/dev/null || bad=1
    printf 'a\t1000\nb\t1031\n' >"$scratch/rise"
    ! compare "$scratch/record" "$scratch/rise" >/dev/null || bad=1
    printf 'a\t1000\nc\t1000\n' >"$scratch/unknown"
    ! compare "$scratch/record" "$scratch/unknown" >/dev/null || bad=1
    local growth=('a:1 a:10 10')
    printf 'a:1\t100\na:10\t1000\n' >"$scratch/linear"
    grown "$scratch/linear" >/dev/null || bad=1
    printf 'a:1\t100\na:10\t3000\n' >"$scratch/more"
    ! grown "$scratch/more" >/dev/null || bad=1
    return "$bad"
}

skip() {
    echo "SKIP instructions: $1"
    echo "$passed passed, $failed failed, 1 skipped"
    [ "$failed" -eq 0 ]
    exit
}

if [ "${1:-}" = --update ]; then
    count_all
    update "${2:-}"
    exit
fi
passed=0 failed=0
if self_test; then passed=1; else
    echo "FAIL instructions: the comparison's self-test"
    failed=1
fi
command -v valgrind >/dev/null || skip "there is no valgrind"
if [ "$(versions)" != "$(sed -n 2p "$recorded" | cut -f3-6)" ]; then
    skip "the counts are of $(sed -n 2p "$recorded" | cut -f3-6 | tr '\t' ' '), and here are $(versions | tr '\t' ' ')"
fi
if ! count_all; then
    echo "FAIL instructions: callgrind did not count"
    failed=$((failed + 1))
else
    for what in "compare $recorded" grown; do
        # shellcheck disable=SC2086 # a function and its argument
        if $what "$scratch/counts"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
