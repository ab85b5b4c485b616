# shellcheck shell=bash
# A real control plane on the loopback: etcd, kube-apiserver, kube-controller-manager,
# kube-scheduler, and kwok, which plays two nodes and the pods on them.
#
# How: keys, certificates and the kubeconfig are made at run time in $E2E_TMP; ports are free
# ones; every process is remembered with its pid and ended by it in cluster_stop. With
# E2E_KUBECONFIG set nothing is started: that cluster is used instead.
# Sets: KUBECONFIG, E2E_PORT_API. Needs: E2E_TMP, E2E_BIN (the tools' folder), E2E_LIB
# (this folder).
# Left to others: the webhook (webhook.sh), Helm and the charts (helm.sh).

E2E_PIDS=()

say() { echo "e2e: $*" >&2; }

# free_port: one that nobody listens on, below the range the kernel hands out by itself.
free_port() {
    local port _
    for _ in {1..200}; do
        port=$((20000 + RANDOM % 10000))
        if [ -e "$E2E_TMP/port.$port" ]; then continue; fi
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            : >"$E2E_TMP/port.$port"
            echo "$port"
            return 0
        fi
    done
    say 'found no free port'
    return 1
}

# spawn NAME COMMAND…: runs it in the background, its output in $E2E_TMP/log/NAME.log
spawn() {
    local name=$1
    shift
    mkdir -p "$E2E_TMP/log"
    "$@" >>"$E2E_TMP/log/$name.log" 2>&1 </dev/null &
    E2E_PIDS+=("$!")
    echo "$!" >"$E2E_TMP/$name.pid"
}

# end_pid PID [SECONDS]: TERM, then KILL when it does not go.
end_pid() {
    local pid=$1 tenths=$((${2:-5} * 10))
    kill -TERM "$pid" 2>/dev/null || return 0
    while [ "$tenths" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# wait_for SECONDS WHAT COMMAND…: repeats the command until it succeeds.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "waited $seconds s for $what"
            return 1
        fi
        sleep 0.1
    done
}

# ---- keys and certificates ------------------------------------------------------------

# make_ca NAME: $E2E_TMP/pki/NAME.{crt,key}
make_ca() {
    local base=$E2E_TMP/pki/$1
    mkdir -p "$E2E_TMP/pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj "/CN=$1" -keyout "$base.key" -out "$base.crt" \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# make_cert CA NAME SUBJECT [ALTNAMES]: $E2E_TMP/pki/NAME.{crt,key}, signed by CA
make_cert() {
    local ca=$E2E_TMP/pki/$1 base=$E2E_TMP/pki/$2 subject=$3 names=${4:-DNS:localhost}
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "$subject" -keyout "$base.key" -out "$base.csr" 2>/dev/null
    openssl x509 -req -in "$base.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial \
        -days 365 -out "$base.crt" -extfile /dev/stdin 2>/dev/null <<END
subjectAltName=$names
extendedKeyUsage=serverAuth,clientAuth
basicConstraints=critical,CA:FALSE
END
    rm -f "$base.csr"
}

base64_line() { base64 -w0 "$1"; }

# write_kubeconfig FILE USER: USER names a certificate in pki/
write_kubeconfig() {
    cat >"$1" <<END
apiVersion: v1
kind: Config
clusters:
- name: e2e
  cluster:
    server: https://127.0.0.1:$E2E_PORT_API
    certificate-authority-data: $(base64_line "$E2E_TMP/pki/kube-ca.crt")
users:
- name: $2
  user:
    client-certificate-data: $(base64_line "$E2E_TMP/pki/$2.crt")
    client-key-data: $(base64_line "$E2E_TMP/pki/$2.key")
contexts:
- name: e2e
  context: {cluster: e2e, user: $2}
current-context: e2e
END
    chmod 600 "$1"
}

# ---- the processes --------------------------------------------------------------------

start_etcd() {
    local client=$1 peer=$2
    spawn etcd "$E2E_BIN/etcd" --name e2e --data-dir "$E2E_TMP/etcd" --unsafe-no-fsync \
        --listen-client-urls "http://127.0.0.1:$client" \
        --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "e2e=http://127.0.0.1:$peer" --log-level warn
}

# What a webhook installed by our chart asks of the API server is written down, one JSON
# object a line, in $E2E_TMP/log/audit.jsonl.
audit_policy() {
    cat <<END
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:nvcf-registry-webhook:nvcf-registry-webhook"]
- level: None
END
}

start_apiserver() {
    local pki=$E2E_TMP/pki
    mkdir -p "$E2E_TMP/log"
    audit_policy >"$E2E_TMP/audit-policy.yaml"
    spawn kube-apiserver "$E2E_BIN/kube-apiserver" \
        --etcd-servers "http://127.0.0.1:$1" \
        --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
        --secure-port "$E2E_PORT_API" --endpoint-reconciler-type none \
        --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
        --client-ca-file "$pki/kube-ca.crt" --authorization-mode RBAC \
        --service-account-issuer https://e2e.invalid \
        --service-account-key-file "$pki/sa.pub" \
        --service-account-signing-key-file "$pki/sa.key" \
        --service-cluster-ip-range 127.96.0.0/16 --profiling=false \
        --audit-policy-file "$E2E_TMP/audit-policy.yaml" --audit-log-path "$E2E_TMP/log/audit.jsonl"
}

start_controllers() {
    local pki=$E2E_TMP/pki
    spawn kube-controller-manager "$E2E_BIN/kube-controller-manager" \
        --kubeconfig "$E2E_TMP/controller.kubeconfig" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "$1" --use-service-account-credentials=false \
        --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/kube-ca.crt" \
        --profiling=false --authorization-always-allow-paths /healthz
    spawn kube-scheduler "$E2E_BIN/kube-scheduler" \
        --kubeconfig "$E2E_TMP/scheduler.kubeconfig" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "$2" --profiling=false
}

start_kwok() {
    local node
    spawn kwok "$E2E_BIN/kwok" --kubeconfig "$E2E_TMP/admin.kubeconfig" \
        --manage-all-nodes --config "$E2E_LIB/kwok.yaml" \
        --server-address "127.0.0.1:$1" --node-ip 127.0.0.1 --node-port "$1" \
        --tls-cert-file "$E2E_TMP/pki/apiserver.crt" \
        --tls-private-key-file "$E2E_TMP/pki/apiserver.key"
    for node in kwok-1 kwok-2; do
        kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Node
metadata:
  name: $node
  labels: {kubernetes.io/hostname: $node, kubernetes.io/os: linux, type: kwok}
  annotations: {kwok.x-k8s.io/node: fake}
spec: {podCIDR: 10.244.${node#kwok-}.0/24}
status:
  allocatable: {cpu: 32, memory: 256Gi, pods: 110}
  capacity: {cpu: 32, memory: 256Gi, pods: 110}
END
    done
}

nodes_ready() {
    [ "$(kubectl get nodes -o json | jq '[.items[].status.conditions[]? |
        select(.type == "Ready" and .status == "True")] | length')" -ge 2 ]
}

# Scenarios empty their namespaces: never somebody else's.
refuse_real_namespaces() {
    local name
    for name in nvcf nvcf-registry-webhook; do
        if kubectl get namespace "$name" >/dev/null 2>&1 && [ "$(kubectl get namespace "$name" \
            -o jsonpath='{.metadata.labels.e2e}')" != nvcf-registry-webhook ]; then
            say "namespace $name of that cluster is not this suite's (label e2e=nvcf-registry-webhook)"
            return 1
        fi
    done
}

cluster_start() {
    local etcd peer controller scheduler kwok started=$SECONDS
    if [ -n "${E2E_KUBECONFIG:-}" ]; then
        export KUBECONFIG=$E2E_KUBECONFIG
        kubectl get --raw /readyz >/dev/null
        refuse_real_namespaces
        say "uses the cluster of E2E_KUBECONFIG"
        return 0
    fi
    etcd=$(free_port)
    peer=$(free_port)
    controller=$(free_port)
    scheduler=$(free_port)
    kwok=$(free_port)
    E2E_PORT_API=$(free_port)
    make_ca kube-ca
    make_cert kube-ca apiserver /CN=kube-apiserver \
        'DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,IP:127.0.0.1,IP:127.96.0.1'
    make_cert kube-ca admin /O=system:masters/CN=e2e-admin
    make_cert kube-ca controller /CN=system:kube-controller-manager/O=system:masters
    make_cert kube-ca scheduler /CN=system:kube-scheduler
    openssl genrsa -out "$E2E_TMP/pki/sa.key" 2048 2>/dev/null
    openssl rsa -in "$E2E_TMP/pki/sa.key" -pubout -out "$E2E_TMP/pki/sa.pub" 2>/dev/null
    write_kubeconfig "$E2E_TMP/admin.kubeconfig" admin
    write_kubeconfig "$E2E_TMP/controller.kubeconfig" controller
    write_kubeconfig "$E2E_TMP/scheduler.kubeconfig" scheduler
    export KUBECONFIG=$E2E_TMP/admin.kubeconfig
    start_etcd "$etcd" "$peer"
    start_apiserver "$etcd"
    wait_for 60 'the API server' kubectl get --raw /readyz
    start_controllers "$controller" "$scheduler"
    start_kwok "$kwok"
    wait_for 30 'the nodes' nodes_ready
    wait_for 30 'the default service account' kubectl -n default get serviceaccount default
    say "control plane up after $((SECONDS - started)) s"
}

# cluster_stop: everything that spawn started, the youngest first.
cluster_stop() {
    local i
    for ((i = ${#E2E_PIDS[@]} - 1; i >= 0; i--)); do
        end_pid "${E2E_PIDS[$i]}" 5
    done
    E2E_PIDS=()
}

# show_logs [LINES]: the end of every log, for a failure.
show_logs() {
    local file
    for file in "$E2E_TMP"/log/*.log; do
        [ -s "$file" ] || continue
        echo "---- ${file##*/}, last ${1:-40} lines" >&2
        tail -n "${1:-40}" "$file" >&2
    done
}
