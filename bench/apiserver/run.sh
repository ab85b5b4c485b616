#!/usr/bin/env bash
# The part "apiserver" of make bench: what an update takes through a real API server. Builds
# what is needed first, then measures (measure.sh) beside a control plane of its own.
# BENCH_UPDATES scales it: how many updates of each kind (1000; about a minute).
set -euo pipefail
cd "$(dirname "$0")/../.."
export NRW_BENCH_OUT=${NRW_BENCH_OUT:-$PWD/build/bench}
export NRW_BIN=${NRW_BIN:-$PWD/build/release/nvcf-registry-webhook}
export NRW_PEERS=$PWD/build/peers
export BENCH_UPDATES=${BENCH_UPDATES:-1000}
bench/peers/job.sh build "$NRW_PEERS"
tests/e2e/with-cluster.sh bench/apiserver/measure.sh
