#!/usr/bin/env bash
# Rolling restarts under load: two replicas of the real server behind a Service, replaced one after
# the other while a real API server calls them for every change of a Deployment, over connections that it
# keeps. New connections still come to a replica for a second after its SIGTERM, as endpoints lag in a
# cluster; tests/tools/forward.c plays kube-proxy. Not one change may fail, with failurePolicy Fail.
# With NRW_DRAIN=0 it can be seen to fail.
set -euo pipefail
# shellcheck source=../integration/lib.sh
source "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=../integration/support/cluster.sh
source "$root/tests/integration/support/cluster.sh"

drain=${NRW_DRAIN:-3}
tools=${NRW_BUILD:-$root/build/release}/tests/tools
cluster_or_skip 'rolling restarts'

# --- two replicas, a Service, the configurations ------------------------------------------------
port=$(free_port)
kubectl create namespace hooks >/dev/null
kubectl create namespace nvcf >/dev/null
kubectl -n hooks create service clusterip hook --tcp="$port" >/dev/null
address=$(kubectl -n hooks get service hook -o jsonpath='{.spec.clusterIP}')
make_ca hook-ca
make_cert hook-ca hook /CN=hook DNS:hook.hooks.svc
make_policy "$POLICY"

declare -A at=() pid=() probe=()
count=0
replica() { # NAME: starts one; ready when it returns
    local metrics
    count=$((count + 1))
    at[$1]=127.0.0.1:$(free_port)
    metrics=$(free_port)
    background "server-$count-$1" "$NRW_BIN" serve --listen "${at[$1]}" --metrics-listen "127.0.0.1:$metrics" \
        --policy-file "$POLICY" --tls-cert "$E2E_TMP/pki/hook.crt" --tls-key "$E2E_TMP/pki/hook.key" \
        --drain-seconds "$drain" --threads 1 --log-level warn
    pid[$1]=$REPLY
    probe[$1]=http://127.0.0.1:$metrics/readyz
    until_ok 150 curl -fsS --max-time 2 "${probe[$1]}"
}
backends() { # NAME… : to whom new connections go
    local name
    for name in "$@"; do echo "${at[$name]}"; done >"$WORK/backends.new"
    mv "$WORK/backends.new" "$WORK/backends"
}
ok 'a replica is ready' replica a
ok 'and another' replica b
backends a b
background forward "$tools/forward" "$address:$port" "$WORK/backends"
forward=$REPLY

bundle=$(base64 -w0 "$E2E_TMP/pki/hook-ca.crt")
for kind in Mutating Validating; do
    path=/mutate
    [ "$kind" = Mutating ] || path=/validate
    cat <<END
---
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata: {name: hook}
webhooks:
- name: api.hook.example.com
  clientConfig: {service: {name: hook, namespace: hooks, port: $port, path: $path}, caBundle: $bundle}
  rules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], scope: Namespaced}]
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 3
  failurePolicy: Fail
END
done | kubectl create -f - >/dev/null
kubectl -n nvcf create -f - >/dev/null <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, labels: {app.kubernetes.io/name: helm-nvcf-api}}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: helm-nvcf-api, image: stand-in.invalid/x}]}
END
variables() { kubectl -n nvcf get deployment api -o json | jq '[.spec.template.spec.containers[0].env // [] | .[].name] | unique | length'; }
change() { # until the API server has taken the configurations up
    kubectl -n nvcf annotate deployment api "begin=$RANDOM" --overwrite && [ "$(variables)" = 4 ]
}
ok 'the API server calls them' until_ok 100 change

# --- replaced one after the other under load -----------------------------------------------------
loads=()
for i in 1 2 3 4; do
    background "load-$i" "$tools/rotate_replica" load "$admin" nvcf 30 api
    loads+=("$REPLY")
done
sleep 1
restarts=0
for round in 1 2; do
    for name in a b; do
        other=b
        [ "$name" = a ] || other=a
        old=${pid[$name]}
        kill -TERM "$old"
        sleep 1 # the endpoints lag
        backends "$other"
        end_of "$old" $((drain * 10 + 100)) || fail "replica $name of round $round ends"
        rc=0
        wait "$old" || rc=$?
        forget "$old"
        [ "$rc" -eq 0 ] || fail "replica $name of round $round ends well" "exit code $rc"
        replica "$name" || fail "replica $name is ready again"
        backends a b
        restarts=$((restarts + 1))
        sleep 0.5
    done
done
is 'replicas were replaced' 4 "$restarts"
ok 'all of it under load' alive "${loads[0]}"
for i in 1 2 3 4; do
    end_of "${loads[$((i - 1))]}" 600 || fail 'the load ends'
    forget "${loads[$((i - 1))]}"
    like "not one change failed (side $i)" '^[0-9]{3,} calls, 0 failed$' "$(tail -1 "$LOGS/load-$i.log")"
    echo "     $(tail -1 "$LOGS/load-$i.log")"
done
is 'and the Deployment has every variable, once' 4 "$(variables)"
kill -TERM "$forward"
end_of "$forward" 50 || fail 'forward ends'
forget "$forward"
like 'every connection found a replica' '^[0-9]+ connections, 0 without a backend$' "$(tail -1 "$LOGS/forward.log")"
echo "     $(tail -1 "$LOGS/forward.log")"
finish
