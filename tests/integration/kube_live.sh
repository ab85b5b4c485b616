#!/usr/bin/env bash
# The Kubernetes client against a real API server and etcd: RBAC messages, TLS names, list and
# watch through restarts, compaction, another CA and an etcd that goes back in time.
# The programs come from the control plane suite's cache; where it is empty, all is skipped
# (tests/e2e/tools/build.sh etcd kube-apiserver helm4 fills it).
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/support/cluster.sh"
cluster_or_skip 'the client against a real API server'
source "$(dirname "$0")/support/probe.sh"

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
watching one "$probe" "$pod" watch probe policy 2
one_pid=$watch_pid
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
kill -STOP "$one_pid" # it comes back when the version that it knows is there again, with other contents
api_kill
etcd_down
rm -rf "$E2E_TMP/etcd"
mv "$WORK/etcd.copy" "$E2E_TMP/etcd"
etcd_up
api_up
for i in $(seq 1 40); do
    kubectl -n probe create configmap "filler-$i" --dry-run=client -o json
done | kubectl create -f - >/dev/null
kill -CONT "$one_pid"
ok 'after a restore the old state is told' until_ok 300 saw '^MODIFIED policy .*"ca"' 2
kubectl -n probe patch configmap policy -p '{"data":{"v":"after"}}' >/dev/null
ok 'and what comes after it' until_ok 100 saw '^MODIFIED policy .*"after"'

is 'no sanitizer had anything to say' '' "$(grep -lE '(Address|Leak|Thread)Sanitizer|runtime error:' "$LOGS"/*.log || true)"
finish
