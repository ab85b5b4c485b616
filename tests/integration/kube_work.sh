#!/usr/bin/env bash
# What a replica does through the client, against a real API server and etcd: many and large
# objects, the ConfigMaps behind decisions, token rotation, Events, leader election.
# The programs come from the control plane suite's cache; where it is empty, all is skipped
# (tests/e2e/tools/build.sh etcd kube-apiserver helm4 fills it).
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/support/cluster.sh"
cluster_or_skip 'the work through a real API server'
source "$(dirname "$0")/support/probe.sh"

# --- many and large objects -------------------------------------------------------------------
for i in $(seq 1 45); do
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"many-%d"},"data":{"nul":"a\\u0000b"}}\n' "$i"
done | kubectl -n probe create -f - >/dev/null
# Every byte of it becomes six in JSON: the page grows beyond its maximum, and is asked for smaller.
head -c 1000000 /dev/zero | tr '\0' '<' >"$WORK/large"
for i in 1 2 3 4 5 6 7; do kubectl -n probe create configmap "large-$i" --from-file=x="$WORK/large" >/dev/null; done
watching many "$probe" "$admin" watch probe -
out=$LOGS/many.log
ok 'pages of large objects are taken' until_ok 300 saw '^SYNCED'
is 'every small object' 45 "$(seen '^ADDED many-')"
is 'every large object' 7 "$(seen '^ADDED large-')"
kubectl -n probe patch configmap large-3 -p '{"metadata":{"labels":{"a":"b"}}}' >/dev/null
ok 'a large event is taken too' until_ok 50 saw '^MODIFIED large-3'
if [ "${NRW_FLAVOUR:-release}" = release ]; then
    at_most 'all of it in little memory (KiB)' 49152 "$(awk '/^VmHWM:/ { print $2 }' "/proc/$watch_pid/status")"
fi
kill -TERM "$watch_pid"
end_of "$watch_pid" 50 || true
cut -c1-200 "$out" >"$out.short" && mv "$out.short" "$out"

# --- the policy and the ConfigMaps behind decisions ---------------------------------------------
kubectl create namespace one >/dev/null
kubectl create namespace two >/dev/null
kubectl -n one create configmap api-env --from-literal=a=1 >/dev/null
kubectl -n one create configmap other --from-literal=a=1 >/dev/null
kubectl -n two create configmap api-remote-config --from-literal=x.yaml='a: 1' >/dev/null
watching sources "$probe" "$admin" sources one policy one two one
sources_pid=$watch_pid
out=$LOGS/sources.log
ok 'no policy is told as none' until_ok 50 saw '^POLICY null'
ok 'what is needed is told, whole' until_ok 50 saw '^MAPS complete=1( one/api-env=1| two/api-remote-config=1){2}$'
is 'incomplete is told as incomplete or not at all' 0 "$(seen '^MAPS complete=1( [^ ]+){0,1}$')"
kubectl -n one create configmap policy --from-literal=policy.yaml='mode: Check' >/dev/null
ok 'a policy that comes is told' until_ok 20 saw '^POLICY .*mode: Check'
kubectl -n one patch configmap api-env -p '{"data":{"b":"2"}}' >/dev/null
ok 'a ConfigMap that changes is told' until_ok 20 saw '^MAPS complete=1.* one/api-env=2'
kubectl -n two delete configmap api-remote-config >/dev/null
ok 'one that goes is told' until_ok 20 saw '^MAPS complete=1 one/api-env=2$'
kubectl -n one delete configmap policy >/dev/null
ok 'a policy that goes is told' until_ok 20 saw '^POLICY null' 2
is 'what is not needed is not kept' 0 "$(seen '/other')"
kubectl -n two create configmap x-env --from-literal=a=1 >/dev/null
until_ok 20 saw 'two/x-env=1'
kill -TERM "$sources_pid"
like 'the state says all is well' 'known=1 present=0 complete=1 connected=1' "$(until_ok 20 saw '^STATE' && grep '^STATE' "$out")"
sleep 0.5
kubectl -n two create configmap y-env --from-literal=a=1 >/dev/null
kubectl -n one create configmap z-env --from-literal=a=1 >/dev/null
ok 'a namespace that is wanted no more is let go' until_ok 20 saw '^MAPS complete=1( one/api-env=2| one/z-env=1){2}$'
is 'and not watched' 0 "$(seen 'y-env')"
kill -TERM "$sources_pid"
end_of "$sources_pid" 50 || true

# --- ConfigMaps that are not kept, and the sibling for a profile, that is ------------------------
kubectl create namespace nvcf >/dev/null
docker=NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME
kubectl -n nvcf create configmap extra --from-literal=$docker=m.example >/dev/null
kubectl -n nvcf create configmap harmless --from-literal=a=b >/dev/null
kubectl -n nvcf create configmap nvcf-api-remote-config --from-literal=nvcf-api.yaml='a: 1' >/dev/null
kubectl -n nvcf create configmap nvcf-api-remote-config-ncp \
    --from-literal=nvcf-api.yaml='nvcf.registries.recognized.container.docker.hostname: m.example' >/dev/null
port=$(free_port)
METRICS_URL=http://127.0.0.1:$(free_port)
background serve "$NRW_BIN" serve --demo --kubeconfig "$admin" --listen "127.0.0.1:$port" \
    --metrics-listen "${METRICS_URL#http://}" --drain-seconds 0
serve_pid=$REPLY
ok 'a server is ready' until_ok 150 ready
asked() { # CONFIGMAP REMOTE -> whether it is allowed, and the findings
    jq -n --arg from "$1" --arg remote "$2" '{apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {uid: "1",
        kind: {group: "apps", version: "v1", kind: "Deployment"}, namespace: "nvcf", name: "nvcf-api", operation: "CREATE",
        object: {apiVersion: "apps/v1", kind: "Deployment", metadata: {name: "nvcf-api", namespace: "nvcf",
        labels: {"app.kubernetes.io/name": "helm-nvcf-api"}}, spec: {template: {spec: {containers: [{name: "helm-nvcf-api",
        env: (if $remote == "" then [] else [{name: "REMOTE_CONFIG_NAME", value: $remote}] end), envFrom: [{configMapRef: {name: $from}}]}]}}}}}}' |
        curl -sk --data-binary @- -H 'Content-Type: application/json' "https://127.0.0.1:$port/mutate" |
        jq -r '.response | "\(.allowed) \(.auditAnnotations.findings)"'
}
calls() {
    curl -sf "$METRICS_URL/metrics" |
        awk '/kube_requests_total[{]verb="get",resource="configmaps"/ { n += $NF } END { print n + 0 }'
}
like 'a ConfigMap of any name is judged with its Deployment' '^false BuiltinCollision' "$(asked extra '')"
is 'one that says nothing is no hindrance' 'true MissingRegistry' "$(asked harmless '')"
like 'one that is not there is opaque' '^true .*OpaqueSource' "$(asked gone '')"
like 'the sibling for a profile takes nothing over either' '^false BuiltinCollision' "$(asked harmless nvcf-api-remote-config)"
kubectl -n nvcf delete configmap nvcf-api-remote-config-ncp >/dev/null
kubectl -n nvcf create configmap nvcf-api-env --from-literal=a=b >/dev/null
settled() { [[ $(asked nvcf-api-env nvcf-api-remote-config) == true* ]]; }
ok 'without one all is well' until_ok 50 settled
sleep 1 # the watch
before=$(calls)
isnt 'calls are counted' 0 "$before"
is 'and what the charts make' 'true MissingRegistry' "$(asked nvcf-api-env nvcf-api-remote-config)"
is 'costs no call' "$before" "$(calls)"
kill -TERM "$serve_pid"
end_of "$serve_pid" 100 || true

# --- token rotation ---------------------------------------------------------------------------
kubectl -n probe create secret generic first >/dev/null
kubectl -n probe create secret generic second >/dev/null
pod_folder rotated watcher --bound-object-kind Secret --bound-object-name first
background every "$probe" "127.0.0.1:$E2E_PORT_API:$WORK/rotated" every 100 250 probe policy
every_pid=$REPLY
sleep 2
fill_folder "$WORK/rotated" watcher --bound-object-kind Secret --bound-object-name second
kubectl -n probe delete secret first >/dev/null # the old token is worthless from here
end_of "$every_pid" 600 || true
is 'reads through a token rotation, none fails' '250 of 250' "$(tail -1 "$LOGS/every.log")"

# --- Events -----------------------------------------------------------------------------------
is 'Events are sent, repetitions are not' 'taken 15 sent 15 repeated 15 dropped 0 failed 0' \
    "$("$probe" "$admin" events probe policy 30)"
is 'the API server keeps them' 15 "$(kubectl -n probe get events.events.k8s.io -o json |
    jq '[.items[] | select(.reason == "Probed" and .regarding.name == "policy" and .reportingController == "nvcf-registry-webhook")] | length')"
like 'kubectl shows them' 'Warning +Probed.*note' "$(kubectl -n probe get events --field-selector involvedObject.name=policy)"
like 'a flood is bounded' '^taken 5[0-2] sent 5[0-2] .* dropped (9[0-9]|100) failed 0' "$("$probe" "$admin" events probe other 200)"
like 'without permission they are dropped, and the log says which rule' 'resources: \[events\], verbs: \[create\]' \
    "$("$probe" "$nobody" events probe policy 2 2>&1)"

# --- leader election ----------------------------------------------------------------------------
background a "$probe" "$admin" lease probe lead a
a_pid=$REPLY
out=$LOGS/a.log
ok 'one alone leads' until_ok 30 saw 'a leads'
background b "$probe" "$admin" lease probe lead b
b_pid=$REPLY
sleep 6
is 'the other follows' '' "$(cat "$LOGS/b.log")"
kill -KILL "$a_pid"
out=$LOGS/b.log
ok 'when it dies, the other leads' until_ok 80 saw 'b leads'
like 'the Lease says so' 'b 1' "$(kubectl -n probe get lease lead -o jsonpath='{.spec.holderIdentity} {.spec.leaseTransitions}')"
background c "$probe" "$admin" lease probe lead c
c_pid=$REPLY
sleep 1
kill -TERM "$b_pid"
out=$LOGS/c.log
ok 'when it ends, the lease is given back at once' until_ok 20 saw 'c leads'
kill -STOP "$api_pid"
ok 'a leader that cannot renew stops leading' until_ok 60 saw 'c follows'
kill -CONT "$api_pid"
ok 'and leads again when it can' until_ok 120 saw 'c leads' 2
kill -TERM "$c_pid"
end_of "$c_pid" 50 || true

is 'no sanitizer had anything to say' '' "$(grep -lE '(Address|Leak|Thread)Sanitizer|runtime error:' "$LOGS"/*.log || true)"
finish
