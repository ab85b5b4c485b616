#!/usr/bin/env bash
# The reference program as a filter: JSON lines in, JSON lines out (docs/SPRING.md, "The
# reference program"). Builds it first where it is not built. Exit code 3: it cannot be had
# here, with the reason on standard error.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=lib.sh
. ./lib.sh

unless() {
    command -v "$1" >/dev/null || { echo "no $1; install $2" >&2; exit 3; }
}
unless java openjdk-17-jdk-headless
if ! reference_fresh; then
    unless mvn maven
    log=$(mktemp)
    maven "$log" process-classes || {
        tail -20 "$log" >&2
        rm -f "$log"
        echo 'Maven could not build the reference program' >&2
        exit 3
    }
    rm -f "$log"
    touch target/classes/registryreference/Batch.class
fi
exec java -XX:+UseSerialGC -cp "target/classes:$(cat target/classpath)" registryreference.Batch
