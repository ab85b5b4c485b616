#!/usr/bin/env bash
# The Kubernetes client against a real API server and etcd: RBAC messages, list and watch
# through restarts and compaction, token rotation, TLS names, Events, leader election.
# The programs come from the control plane suite's cache; where it is empty, all is skipped
# (tests/e2e/tools/build.sh etcd kube-apiserver helm4 fills it).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

source "$(dirname "$0")/support/cluster.sh"
probe=${NRW_BUILD:-$root/build/release}/tests/tools/kube_probe
cluster_or_skip 'the client against a real API server'

kubectl create namespace probe >/dev/null
kubectl -n probe create serviceaccount watcher >/dev/null
kubectl -n probe create serviceaccount nobody >/dev/null
kubectl -n probe create configmap policy --from-literal=v=1 >/dev/null
kubectl apply -f - >/dev/null <<'END'
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: watcher, namespace: probe}
rules:
- {apiGroups: [""], resources: [configmaps], resourceNames: [policy], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: watcher, namespace: probe}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: watcher}
subjects: [{kind: ServiceAccount, name: watcher, namespace: probe}]
END

# pod_folder NAME ACCOUNT [TOKEN-FLAG…]: what the kubelet mounts, with its ..data symlink
pod_folder() {
    local dir=$WORK/$1 account=$2
    shift 2
    mkdir -p "$dir"
    fill_folder "$dir" "$account" "$@"
    ln -sf ..data/token "$dir/token"
    ln -sf ..data/ca.crt "$dir/ca.crt"
    ln -sf ..data/namespace "$dir/namespace"
}
fill_folder() { # DIR ACCOUNT [TOKEN-FLAG…]: swaps ..data as the kubelet does
    local dir=$1 account=$2 new
    shift 2
    new=..$(date +%s%N)
    mkdir "$dir/$new"
    kubectl -n probe create token "$account" "$@" >"$dir/$new/token"
    cp "$E2E_TMP/pki/kube-ca.crt" "$dir/$new/ca.crt"
    echo probe >"$dir/$new/namespace"
    ln -s "$new" "$dir/..new"
    mv -T "$dir/..new" "$dir/..data"
}
pod_folder watcher watcher
pod_folder nobody nobody
pod=127.0.0.1:$E2E_PORT_API:$WORK/watcher
nobody=127.0.0.1:$E2E_PORT_API:$WORK/nobody

# --- reading, and being refused -----------------------------------------------------------
is 'a kubeconfig with a client certificate reads' '{"v":"1"}' "$("$probe" "$admin" get configmaps probe policy)"
is 'a pod reads with its token' '{"v":"1"}' "$("$probe" "$pod" get configmaps probe policy)"
like 'absent is not found' '^error not-found: cannot get configmaps "none".* HTTP 404' \
    "$("$probe" "$admin" get configmaps probe none)"
refused=$("$probe" "$nobody" get configmaps probe policy) || true
like '403 says who we are' '^error denied: .*system:serviceaccount:probe:nobody' "$refused"
like '403 names the rule' 'needs the rule \{apiGroups: \[""\], resources: \[configmaps\], resourceNames: \[policy\], verbs: \[get\]\} in a Role in namespace probe' "$refused"
like '403 for a cluster-scoped object asks for a ClusterRole' 'verbs: \[get\]\} in a ClusterRole' \
    "$("$probe" "$nobody" get mutatingwebhookconfigurations - x)"
like 'a list of all is refused by its name' 'verbs: \[list\]' "$("$probe" "$pod" get configmaps probe -)"
echo not-a-token >"$WORK/bad-token"
mkdir -p "$WORK/bad"
ln -s "$WORK/bad-token" "$WORK/bad/token"
ln -s "$E2E_TMP/pki/kube-ca.crt" "$WORK/bad/ca.crt"
refused=$("$probe" "127.0.0.1:$E2E_PORT_API:$WORK/bad" get configmaps probe policy) || true
like '401 says so' '^error denied: .*credentials \(HTTP 401\)' "$refused"
unlike 'and never prints the token' 'not-a-token' "$refused"

# --- TLS ----------------------------------------------------------------------------------
with() { sed "s|^    server: .*|&\n    $1|" "$admin" >"$WORK/with.kubeconfig"; }
with 'tls-server-name: kubernetes.default.svc'
is 'tls-server-name is what is verified' '{"v":"1"}' "$("$probe" "$WORK/with.kubeconfig" get configmaps probe policy)"
with 'tls-server-name: other.example'
like 'a name that the certificate lacks is refused' '^error unavailable: .*(SSL|subject name)' \
    "$("$probe" "$WORK/with.kubeconfig" get configmaps probe policy)"
make_ca other-ca
sed "s|certificate-authority-data: .*|certificate-authority: $E2E_TMP/pki/other-ca.crt|" "$admin" >"$WORK/other.kubeconfig"
like 'another CA is refused' '^error unavailable: .*certificate' "$("$probe" "$WORK/other.kubeconfig" get configmaps probe policy)"
sed 's|certificate-authority-data: .*|insecure-skip-tls-verify: true|' "$admin" >"$WORK/insecure.kubeconfig"
is 'only insecure-skip-tls-verify turns verification off' '{"v":"1"}' \
    "$("$probe" "$WORK/insecure.kubeconfig" get configmaps probe policy)"
like 'an address without a listener is unavailable' '^error unavailable: .*(refused|connect)' \
    "$("$probe" "127.0.0.1:1:$WORK/watcher" get configmaps probe policy)"

# --- watching one name ----------------------------------------------------------------------
seen() { grep -cE "$1" "$out" || true; }
saw() { [ "$(seen "$1")" -ge "${2:-1}" ]; } # REGEX [TIMES]
watching() { # NAME WHERE NAMESPACE NAME [STREAM-SECONDS [PAGE]]
    background "$@"
    watch_pid=$REPLY
}
watching one "$probe" "$pod" watch probe policy 2
out=$LOGS/one.log
until_ok 50 saw '^SYNCED'
is 'what exists is told first' 'ADDED policy {"v":"1"}' "$(head -1 "$out")"
begin=$(date +%s%N)
kubectl -n probe patch configmap policy -p '{"data":{"v":"2"}}' >/dev/null
ok 'a change is told' until_ok 20 saw '^MODIFIED policy .*"2"'
at_most 'within a second of kubectl (ms)' 1000 $((($(date +%s%N) - begin) / 1000000))
kubectl -n probe delete configmap policy >/dev/null
ok 'a deletion is told' until_ok 20 saw '^DELETED policy'
kubectl -n probe create configmap policy --from-literal=v=3 >/dev/null
ok 'a new one of the same name is told' until_ok 20 saw '^ADDED policy .*"3"'
kubectl -n probe create configmap neighbour --from-literal=v=1 >/dev/null
sleep 6 # three streams end by themselves
is 'streams that end are not a loss' 0 "$(seen '^LOST')"
is 'nor a reason to tell again' 4 "$(seen '^(ADDED|MODIFIED|DELETED)')"
is 'another name is not told' 0 "$(seen neighbour)"

# --- the API server goes and comes back -----------------------------------------------------
api_kill
ok 'the loss is told' until_ok 100 saw '^LOST .*'
sleep 2
at_most 'once for each cause' 2 "$(seen '^LOST')"
api_up
ok 'the return is told' until_ok 150 saw '^SYNCED' 2
kubectl -n probe patch configmap policy -p '{"data":{"v":"4"}}' >/dev/null
ok 'and changes after it' until_ok 50 saw '^MODIFIED policy .*"4"'
# etcd goes and comes back, under an API server that stays.
etcd_down
sleep 1
etcd_up
patched() { kubectl -n probe patch configmap policy -p '{"data":{"v":"etcd"}}'; }
ok 'after a restart of etcd it can be written' until_ok 300 patched
ok 'and the change is told' until_ok 100 saw '^MODIFIED policy .*"etcd"'

# --- 410: the version we know is compacted away ----------------------------------------------
watching all "$probe" "$admin" watch probe -
all_pid=$watch_pid
out=$LOGS/all.log
until_ok 50 saw '^SYNCED'
kill -STOP "$all_pid"
api_kill # so that its connection is dead, and what follows cannot wait in a socket
api_up
kubectl -n probe delete configmap neighbour >/dev/null
kubectl -n probe patch configmap policy -p '{"data":{"v":"5"}}' >/dev/null
revision=$(kubectl -n probe get configmap policy -o jsonpath='{.metadata.resourceVersion}')
curl -fsS -X POST "http://127.0.0.1:$etcd_port/v3/kv/compaction" -d "{\"revision\":\"$revision\",\"physical\":true}" >/dev/null
api_kill # the new one knows no older version
api_up
kill -CONT "$all_pid"
ok 'after a compaction the change is told' until_ok 150 saw '^MODIFIED policy .*"5"'
ok 'and what went away unseen' until_ok 20 saw '^DELETED neighbour'
is 'and nothing else again' 1 "$(seen '^ADDED policy')"
kill -TERM "$all_pid"
ok 'the watcher ends at once' until_ok 20 saw '^STOPPED'
like 'it really listed again' 'lists again [1-9]' "$(grep '^STOPPED' "$out")"
at_most 'in less than (ms)' 300 "$(sed -nE 's/^STOPPED in ([0-9]+) ms.*/\1/p' "$out")"

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

# --- another CA -----------------------------------------------------------------------------------
# The API server comes back with a certificate of a CA that the pod learns of later.
out=$LOGS/one.log
make_ca new-ca
make_cert new-ca apiserver /CN=kube-apiserver DNS:kubernetes,IP:127.0.0.1
cat "$E2E_TMP/pki/new-ca.crt" "$E2E_TMP/pki/kube-ca.crt" >"$WORK/both.crt"
sed -i "s|certificate-authority-data: .*|certificate-authority-data: $(base64_line "$WORK/both.crt")|" "$admin"
api_kill
api_up
ok 'a certificate of an unknown CA is a loss' until_ok 100 saw '^LOST .*certificate' 1
syncs=$(seen '^SYNCED')
sleep 1
is 'and stays one' "$syncs" "$(seen '^SYNCED')"
mkdir "$WORK/watcher/..new-ca"
cp "$WORK/watcher/..data/"{token,namespace} "$WORK/watcher/..new-ca/"
cp "$WORK/both.crt" "$WORK/watcher/..new-ca/ca.crt"
ln -s ..new-ca "$WORK/watcher/..new"
mv -T "$WORK/watcher/..new" "$WORK/watcher/..data"
ok 'a new ca.crt is taken up at once' until_ok 150 saw '^SYNCED' $((syncs + 1))
kubectl -n probe patch configmap policy -p '{"data":{"v":"ca"}}' >/dev/null
# An API server that has just started refuses what it has not read the roles for yet, and a
# refusal is retried after at most 10 s (webhook/kube/watch.c).
ok 'and the watch goes on' until_ok 150 saw '^MODIFIED policy .*"ca"'

# --- etcd goes back in time --------------------------------------------------------------------------
# Restored from a copy, versions are lower than those we know: nobody may wait for the future.
api_kill
etcd_down
cp -a "$E2E_TMP/etcd" "$WORK/etcd.copy"
etcd_up
api_up
for i in 1 2 3 4 5 6 7 8 9; do
    kubectl -n probe patch configmap policy -p "{\"data\":{\"v\":\"lost-$i\"}}" >/dev/null
done
ok 'the watch sees the last change' until_ok 50 saw '^MODIFIED policy .*"lost-9"'
api_kill
etcd_down
rm -rf "$E2E_TMP/etcd"
mv "$WORK/etcd.copy" "$E2E_TMP/etcd"
etcd_up
api_up
ok 'after a restore the old state is told' until_ok 300 saw '^MODIFIED policy .*"ca"' 2
kubectl -n probe patch configmap policy -p '{"data":{"v":"after"}}' >/dev/null
ok 'and what comes after it' until_ok 100 saw '^MODIFIED policy .*"after"'

is 'no sanitizer had anything to say' '' "$(grep -lE '(Address|Leak|Thread)Sanitizer|runtime error:' "$LOGS"/*.log || true)"
finish
