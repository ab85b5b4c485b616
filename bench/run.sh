#!/usr/bin/env bash
# Measures, side by side and interleaved, and writes bench/RESULTS.md and bench/results.tsv.
#   make bench           every part
#   make bench T=core    one part; the others stay in both files as they were measured
# Everything else on the machine should be still; the load before and after is written down.
#
# A part is a function part_NAME below, or an executable bench/NAME/run.sh that is found by
# itself. It is started in the root of the project with NRW_BUILD, NRW_BIN and NRW_BENCH_OUT set
# and writes two files:
#   $NRW_BENCH_OUT/NAME.md    its section of RESULTS.md, from "## Title" on
#   $NRW_BENCH_OUT/NAME.tsv   its rows of results.tsv: case, subject, measure, unit, round, value
# Where and when it was measured is added here. A part that fails leaves both files alone.
set -euo pipefail
cd "$(dirname "$0")/.."
export NRW_BUILD=${NRW_BUILD:-$PWD/build/release}
export NRW_BIN=${NRW_BIN:-$NRW_BUILD/nvcf-registry-webhook}
export NRW_BENCH_OUT=$PWD/build/bench
results=bench/RESULTS.md
raw=bench/results.tsv
mkdir -p "$NRW_BENCH_OUT"

recorded=tests/e2e/recorded
part_core() {
    "$NRW_BUILD/bench/core" "$recorded/kubectl-apply-server.03-mutate-CREATE-Deployment.json" \
        "$recorded/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json" \
        "$NRW_BENCH_OUT/core.tsv" >"$NRW_BENCH_OUT/core.table"
    {
        cat <<'END'
## The core: bytes of a review to bytes of the answer

Microseconds, the median of 31 interleaved rounds (least–most). jansson's column is the parse of the
same bytes alone, which is where a webhook that parses all of it begins; ratio is that one by
review to answer. The decision injects two registries; decide() alone begins when everything has
been read. The smallest review is a recorded CREATE, which has no old object; the others are a
recorded UPDATE whose managedFields, in both objects, have gained managers until the size was reached.
The target is a ratio of 10 for the 17 KiB review; of the smallest one most of the time is the answer,
not the reading, so that it has none.

| review | bytes | jansson parse alone | review to answer | decide() alone | ratio |
|---|---|---|---|---|---|
END
        cat "$NRW_BENCH_OUT/core.table"
    } >"$NRW_BENCH_OUT/core.md"
}

part_growth() {
    "$NRW_BUILD/bench/growth" "$recorded/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json" \
        "$NRW_BENCH_OUT/growth.tsv" >"$NRW_BENCH_OUT/growth.table"
    {
        cat <<'END'
## Growth: more registries, containers, variables

Microseconds from the bytes of a review to those of the answer, the median of 11 interleaved rounds
(least–most). registries: in the policy, all of them injected into a review of 17 KiB; containers: of
the pod, the target's the last; variables: of the container, saying nothing about registries;
declaring: variables of which each pair declares a registry that is not in the policy, so that the
answer has a warning for each. Plot: ../docs/growth.svg.

| what | how many | bytes of the review | review to answer | times as many | times as long |
|---|---|---|---|---|---|
END
        cat "$NRW_BENCH_OUT/growth.table"
    } >"$NRW_BENCH_OUT/growth.md"
}

load() { cut -d' ' -f1 /proc/loadavg; }
machine() {
    echo "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r)"
}
commit() { # with a mark where it is not what was built
    local dirty=
    git diff --quiet HEAD -- . ':!bench/RESULTS.md' ':!bench/results.tsv' ':!docs' 2>/dev/null || dirty=' and changes'
    echo "$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)$dirty"
}

parts() { # every part's name, in the order of the document
    local script
    printf '%s\n' core growth
    for script in bench/*/run.sh; do
        [ ! -x "$script" ] || basename "$(dirname "$script")"
    done
}

# The section of a part as RESULTS.md has it now, marks included.
old_section() { # NAME
    [ ! -e "$results" ] || sed -n "/^<!-- part $1 -->\$/,/^<!-- end $1 -->\$/p" "$results"
}
measure() { # NAME -> files NAME.md, NAME.tsv and NAME.when in $NRW_BENCH_OUT
    local before
    before=$(load)
    rm -f "$NRW_BENCH_OUT/$1.md" "$NRW_BENCH_OUT/$1.tsv"
    if [ "$(type -t "part_$1")" = function ]; then
        "part_$1"
    else
        "bench/$1/run.sh"
    fi
    if [ ! -s "$NRW_BENCH_OUT/$1.md" ] || [ ! -s "$NRW_BENCH_OUT/$1.tsv" ]; then
        echo "bench: the part $1 left no $1.md or $1.tsv in $NRW_BENCH_OUT" >&2
        exit 1
    fi
    echo "Measured $(date -u '+%Y-%m-%d %H:%M') UTC at commit $(commit), load $before before and $(load) after." \
        >"$NRW_BENCH_OUT/$1.when"
}

assemble() { # NAME… that were measured now
    local part now=" $* "
    {
        echo '# What was measured'
        echo
        echo "Written by \`make bench\` on $(date -u +%Y-%m-%d), commit $(commit), on:"
        echo "$(machine), $(${CC:-gcc} --version | head -1)."
        echo 'Raw data: results.tsv. How to read it: docs/PERFORMANCE.md.'
        for part in $(parts); do
            if [[ $now == *" $part "* ]]; then
                echo
                echo "<!-- part $part -->"
                cat "$NRW_BENCH_OUT/$part.md"
                echo
                cat "$NRW_BENCH_OUT/$part.when"
                echo "<!-- end $part -->"
            elif [ -n "$(old_section "$part")" ]; then
                echo
                old_section "$part"
            fi
        done
    } >"$NRW_BENCH_OUT/RESULTS.md"
    {
        printf 'part\tcase\tsubject\tmeasure\tunit\tround\tvalue\n'
        for part in $(parts); do
            if [[ $now == *" $part "* ]]; then
                sed "s/^/$part\t/" "$NRW_BENCH_OUT/$part.tsv"
            elif [ -e "$raw" ]; then
                awk -F'\t' -v part="$part" 'NF == 7 && $1 == part' "$raw"
            fi
        done
    } >"$NRW_BENCH_OUT/results.tsv"
    mv "$NRW_BENCH_OUT/RESULTS.md" "$results"
    mv "$NRW_BENCH_OUT/results.tsv" "$raw"
}

chosen=("$@")
[ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(parts)
for part in "${chosen[@]}"; do
    if [[ " $(parts | paste -sd' ') " != *" $part "* ]]; then
        echo "bench: no part '$part'; there are: $(parts | paste -sd' ')" >&2
        exit 2
    fi
    measure "$part"
done
assemble "${chosen[@]}"
awk -f bench/plot.awk "$raw" >docs/growth.svg
cat "$results"
