#!/usr/bin/env bash
# Runs libFuzzer targets: tests/fuzz/run.sh TARGET|all SECONDS (make fuzz-run T=… SECONDS=…).
# New inputs that reach new code go to build/fuzz/corpus/TARGET; `--merge` afterwards adds the few
# that matter to tests/fuzz/corpus/TARGET. A crash is kept in build/fuzz/crash/TARGET: mend the
# defect and add the input to tests/fuzz/regressions/TARGET, where `make test` replays it.
set -euo pipefail
cd "$(dirname "$0")/../.."
merge=
if [ "${1:-}" = --merge ]; then
    merge=1
    shift
fi
target=${1:-all} seconds=${2:-60}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}

passed=0 failed=0
for source in tests/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    name=${source#tests/fuzz/fuzz_}
    name=${name%.c}
    if [ "$target" != all ] && [ "$target" != "$name" ]; then
        continue
    fi
    program=build/fuzz/tests/fuzz/fuzz_$name
    found=build/fuzz/corpus/$name
    crash=build/fuzz/crash/$name
    kept=tests/fuzz/corpus/$name
    regressions=tests/fuzz/regressions/$name
    mkdir -p "$found" "$crash" "$kept" "$regressions"
    if [ -n "$merge" ]; then
        "$program" -merge=1 -max_len=4096 "$kept" "$found" 2>&1 | tail -1
        rmdir "$regressions" 2>/dev/null || true
        continue
    fi
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536
        -print_final_stats=1 -artifact_prefix="$crash/")
    [ ! -e "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    echo "== $name: $seconds s"
    if nice "$program" "${options[@]}" "$found" "$kept" "$regressions" >"build/fuzz/$name.log" 2>&1; then
        grep -E 'stat::number_of_executed_units|DONE' "build/fuzz/$name.log" || true
        passed=$((passed + 1))
    else
        tail -60 "build/fuzz/$name.log"
        failed=$((failed + 1))
    fi
    rmdir "$kept" "$regressions" 2>/dev/null || true
done
[ -n "$merge" ] || echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
