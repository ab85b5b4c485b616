# shellcheck shell=bash
# etcd and kube-apiserver alone (no controllers, no nodes) for integration scripts, which
# source lib.sh first. The programs come from the control plane suite's cache;
# tests/e2e/tools/build.sh etcd kube-apiserver helm4 fills it.
#
# Sets: KUBECONFIG (also as $admin), E2E_TMP, E2E_PORT_API, etcd_port, api_pid.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/nvcf-registry-webhook
E2E_TMP=$WORK/cluster
E2E_BIN=$cache/bin
E2E_LIB=${root:?source lib.sh first}/tests/e2e/lib
export E2E_TMP E2E_BIN E2E_LIB
mkdir -p "$E2E_TMP"
# shellcheck source=../../e2e/lib/cluster.sh
source "$E2E_LIB/cluster.sh"
PATH=$E2E_BIN:$PATH

api_up() {
    start_apiserver "$etcd_port"
    api_pid=${E2E_PIDS[-1]}
    pids+=("$api_pid") # for this script's own cleaning up
    wait_for 60 'the API server' kubectl get --raw /readyz
}
etcd_up() {
    start_etcd "$etcd_port" "$etcd_peer_port"
    etcd_pid=${E2E_PIDS[-1]}
    pids+=("$etcd_pid")
}
etcd_down() { # in order, so that its folder can be copied
    end_pid "$etcd_pid"
    forget "$etcd_pid"
}
api_kill() {
    kill -KILL "$api_pid"
    wait "$api_pid" 2>/dev/null || true
    forget "$api_pid"
}

# cluster_or_skip WHAT: starts it, or ends the script with WHAT as skipped.
cluster_or_skip() {
    local program peer_port
    for program in etcd kube-apiserver kubectl; do
        if [ ! -x "$E2E_BIN/$program" ]; then
            skip "$1" "no $program in $E2E_BIN; run tests/e2e/tools/build.sh"
            finish
        fi
    done
    etcd_port=$(free_port) peer_port=$(free_port)
    E2E_PORT_API=$(free_port)
    make_ca kube-ca
    make_cert kube-ca apiserver /CN=kube-apiserver DNS:kubernetes,DNS:kubernetes.default.svc,IP:127.0.0.1
    make_cert kube-ca admin /O=system:masters/CN=admin
    openssl genrsa -out "$E2E_TMP/pki/sa.key" 2048 2>/dev/null
    openssl rsa -in "$E2E_TMP/pki/sa.key" -pubout -out "$E2E_TMP/pki/sa.pub" 2>/dev/null
    admin=$E2E_TMP/admin.kubeconfig
    write_kubeconfig "$admin" admin
    export KUBECONFIG=$admin
    etcd_peer_port=$peer_port
    etcd_up
    api_up
}
