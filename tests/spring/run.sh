#!/usr/bin/env bash
# The rules compared with Spring itself (docs/SPRING.md). Four parts:
#   1. the Java tests: the recorded experiments, and the quick binding against whole starts;
#   2. the document's tables are what the experiments say today;
#   3. generated cases: webhook and Spring agree, both ways;
#   4. generated files of a remote configuration: the webhook reads what Spring Cloud
#      Kubernetes reads, whatever profile is active. SPRING_CASES (20000) and
#      SPRING_SEED say how many of each, and which; the seed is printed. It is the same every time
#      unless another is given, so that a change is judged by what it changed.
# Needs Java 17 and Maven. Maven goes to the network only where its cache lacks something.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
cases=${SPRING_CASES:-20000}
seed=${SPRING_SEED:-3}
passed=0 failed=0 skipped=0

finish() {
    echo "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
    [ "$failed" -eq 0 ]
    exit
}

skip() {
    echo "skipped: $1"
    skipped=$((skipped + 1))
    finish
}

command -v java >/dev/null || skip "no Java; install openjdk-17-jdk-headless"
command -v mvn >/dev/null || skip "no Maven; install maven"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck source=lib.sh
. ./lib.sh

maven "$log" process-classes || { tail -20 "$log"; skip "Maven could not build the reference program"; }

# --- 1. Java tests --------------------------------------------------------------------------
rm -rf target/surefire-reports
maven "$log" test || true
read -r run bad < <(awk '
    match($0, /tests="[0-9]+"/) && /<testsuite / { t += substr($0, RSTART + 7, RLENGTH - 8) }
    match($0, /errors="[0-9]+"/) && /<testsuite / { b += substr($0, RSTART + 8, RLENGTH - 9) }
    match($0, /failures="[0-9]+"/) && /<testsuite / { b += substr($0, RSTART + 10, RLENGTH - 11) }
    END { print t + 0, b + 0 }' <(cat target/surefire-reports/TEST-*.xml 2>/dev/null | tr '\n' ' ' |
    sed 's/<testcase/\n&/g; s/<testsuite /\n&/g'))
[ "$run" -gt 0 ] || { run=1 bad=1; }
[ "$bad" -eq 0 ] || grep -E 'ERROR' "$log" | head -20
echo "Java tests: $((run - bad)) passed, $bad failed"
passed=$((passed + run - bad)) failed=$((failed + bad))

java=(java -XX:+UseSerialGC -cp "target/classes:$(cat target/classpath)")

# --- 2. the document ------------------------------------------------------------------------
if diff <("${java[@]}" registryreference.Experiments print src/test/resources/experiments.jsonl) \
    <(sed '1,/<!-- experiments -->/d' "$root/docs/SPRING.md") >"$log"; then
    passed=$((passed + 1))
else
    head -20 "$log"
    echo "docs/SPRING.md: its tables are not what the experiments say; see docs/TESTING.md"
    failed=$((failed + 1))
fi

# --- 3. generated cases ---------------------------------------------------------------------
library=$root/build/release/libwebhook.a
[ -e "$library" ] || skip "no $library; run make first"
mkdir -p target/driver
read -ra flags < <(pkg-config --cflags --libs libmicrohttpd openssl jansson libcurl yaml-0.1 | tr '\n' ' ') || true # no newline at its end
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$root/webhook" -I"$root" \
    diff_driver.c "$library" "${flags[@]}" -pthread -o target/driver/diff_driver
start=$SECONDS
"${java[@]}" registryreference.Differential target/driver/diff_driver \
    "$root/build/release/nvcf-registry-webhook" "$seed" "$cases" | tee "$log" || true
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1) || true
read -r p _ f _ <<<"${line:-0 passed, 1 failed}"
echo "generated cases: seed $seed, $((p + f)) compared, $f disagreements, $((SECONDS - start)) s"
passed=$((passed + p)) failed=$((failed + f))

# --- 4. generated files of a remote configuration ---------------------------------------------
start=$SECONDS
"${java[@]}" registryreference.RemoteFiles target/driver/diff_driver "$seed" "$cases" | tee "$log" || true
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1) || true
read -r p _ f _ <<<"${line:-0 passed, 1 failed}"
echo "generated files: seed $seed, $((p + f)) compared, $f disagreements, $((SECONDS - start)) s"
passed=$((passed + p)) failed=$((failed + f))
finish
