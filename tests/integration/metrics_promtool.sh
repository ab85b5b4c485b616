#!/usr/bin/env bash
# What /metrics says after real requests: promtool's linter accepts it, and it holds
# everything that dashboards and alerts are promised.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_server
review() { # KIND
    printf '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","kind":{"group":"apps","version":"v1","kind":"%s"},"resource":{"group":"apps","version":"v1","resource":"x"},"name":"a","namespace":"other","operation":"CREATE","userInfo":{},"object":{"apiVersion":"apps/v1","kind":"%s","metadata":{"name":"a","namespace":"other"},"spec":{"template":{"spec":{"containers":[]}}}},"oldObject":null,"dryRun":false,"options":null}}' "$1" "$1" >"$WORK/review.json"
}
review Deployment
post /mutate "$WORK/review.json"
is 'a Deployment is answered' 200 "$STATUS"
review Widget
post /validate "$WORK/review.json"
get /nothing
is 'an unknown path is not' 404 "$STATUS"

curl -fsS "$METRICS_URL/metrics" >"$WORK/metrics"
if command -v promtool >/dev/null; then
    exits 'promtool check metrics' 0 promtool check metrics <"$WORK/metrics"
    is 'without a remark' '' "$(cat "$BODY")"
else
    skip 'promtool check metrics' 'promtool is not installed (Debian package prometheus)'
fi
curl -fsS -o /dev/null -w '%{content_type}' "$METRICS_URL/metrics" >"$BODY"
like 'the type that Prometheus asks for' '^text/plain; version=0.0.4' "$(cat "$BODY")"

p=nvcf_registry_webhook_
for name in admission_requests_total admission_duration_seconds findings_total policy_info policy_registries \
    policy_reloads_total policy_last_success_timestamp_seconds certificate_expiry_timestamp_seconds \
    certificate_rotations_total tls_handshakes_total connections requests_in_flight http_errors_total \
    kube_requests_total log_lines_dropped_total build_info; do
    like "has $name" "^# TYPE $p$name (counter|gauge|histogram)\$" "$(cat "$WORK/metrics")"
done
for name in cpu_seconds_total resident_memory_bytes virtual_memory_bytes virtual_memory_max_bytes open_fds max_fds \
    start_time_seconds threads; do
    like "has process_$name" "^process_$name [0-9+]" "$(cat "$WORK/metrics")"
done
like 'counts by endpoint, kind, operation, decision and dry run' \
    "^${p}admission_requests_total\{endpoint=\"mutate\",kind=\"Deployment\",operation=\"CREATE\",decision=\"[a-z]+\",dry_run=\"false\"\} 1\$" "$(cat "$WORK/metrics")"
like 'a kind that is not in the set is "other"' "kind=\"other\"" "$(cat "$WORK/metrics")"
unlike 'and does not make a series of its own' 'Widget' "$(cat "$WORK/metrics")"
like 'the histogram has buckets below a millisecond' "${p}admission_duration_seconds_bucket\{endpoint=\"mutate\",le=\"0.00025\"\}" "$(cat "$WORK/metrics")"
is 'an HTTP error is counted' 1 "$(metric "${p}http_errors_total{code=\"404\"}")"
is 'the certificate expires when it says' "$(date -d "$(openssl x509 -in "$CERTS/tls.crt" -noout -enddate | cut -d= -f2)" +%s)" \
    "$(metric "${p}certificate_expiry_timestamp_seconds")"
is 'the policy has two registries' 2 "$(metric "${p}policy_registries")"
stop_server
finish
