# shellcheck shell=bash
# A namespace "probe" with a policy and two service accounts, their folders as the kubelet
# mounts them, and the program that speaks for the client (tests/tools/kube_probe.c). For
# integration scripts that have sourced lib.sh and support/cluster.sh, whose cluster is up.
#
# Sets: probe, pod, nobody (WHERE arguments of the program).

probe=${NRW_BUILD:-${root:?source lib.sh first}/build/release}/tests/tools/kube_probe
out='' watch_pid=''
export probe watch_pid

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
export pod nobody

seen() { grep -cE "$1" "$out" || true; }
saw() { [ "$(seen "$1")" -ge "${2:-1}" ]; } # REGEX [TIMES]
watching() { # NAME WHERE NAMESPACE NAME [STREAM-SECONDS [PAGE]]
    background "$@"
    watch_pid=$REPLY
}
