#!/usr/bin/env bash
# Measures, side by side in one run, and writes bench/RESULTS.md and bench/results.tsv.
#   make bench
# Everything else on the machine should be still; the load before and after is written down.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${NRW_BUILD:-build/release}
review=tests/e2e/recorded/helm4-upgrade-guide.03-mutate-UPDATE-Deployment.json
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

load() { cut -d' ' -f1 /proc/loadavg; }
before=$(load)
"$build/bench/core" "$review" "$scratch/core.tsv" >"$scratch/core.md"
after=$(load)
{
    echo '# What was measured'
    echo
    echo "Written by \`make bench\` on $(date -u +%Y-%m-%d), commit $(git rev-parse --short=12 HEAD),"
    echo "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(nproc) cores," \
        "load $before before and $after after. Raw data: results.tsv."
    echo
    echo '## The core: bytes of a review to bytes of the answer'
    echo
    echo 'Microseconds, the median of 31 interleaved rounds (least–most). jansson'"'"'s column is the'
    echo 'parse of the same bytes alone, which is where a webhook that parses all of it begins. The'
    echo 'decision injects two registries.'
    echo
    echo '| bytes | jansson parse alone | review to answer | ratio |'
    echo '|---|---|---|---|'
    cat "$scratch/core.md"
} >bench/RESULTS.md
{
    echo -e 'bytes\tjansson_parse_us\treview_to_answer_us'
    cat "$scratch/core.tsv"
} >bench/results.tsv
cat bench/RESULTS.md
