#!/usr/bin/env bash
# Builds the image with buildah: no Docker daemon, no pull, nothing of the host's container storage
# touched. Prints the image's id as its last line.
#   tools/image.sh [--no-cache] [--arch amd64|arm64] [--tag NAME] [--source DIR]
#   tools/image.sh --podman ARG…      runs podman on the same private storage
#   tools/image.sh --buildah ARG…     the same for buildah
#
# The base image is made here under its public name, from this machine's own Debian sources, because
# the public one cannot be pulled everywhere. Storage and base are kept in
# ${XDG_CACHE_HOME:-~/.cache}/nvcf-registry-webhook/image, so that a second build takes seconds.
# Exit code 3: cannot be built on this machine (the reason is on stderr); 1: the build failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
base=docker.io/library/debian:bookworm-slim
store=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nvcf-registry-webhook/image
mkdir -p "$store/root" "$store/run" "$store/tmp"
export TMPDIR=$store/tmp
# No configuration of the host's: its registries, mirrors and storage options are not ours.
printf 'unqualified-search-registries = []\n' >"$store/registries.conf"
export CONTAINERS_REGISTRIES_CONF=$store/registries.conf

cannot() {
    echo "image: cannot be built here: $*" >&2
    exit 3
}
for tool in buildah podman runc mmdebstrap; do
    command -v $tool >/dev/null 2>&1 || cannot "no $tool (Debian: apt-get install buildah podman runc mmdebstrap)"
done
[ "$(id -u)" -eq 0 ] || cannot "needs root (chroot isolation)"

storage=(--root "$store/root" --runroot "$store/run")
if [ -e "$store/vfs" ]; then
    storage+=(--storage-driver vfs)
elif ! podman "${storage[@]}" info >/dev/null 2>"$store/why"; then
    # Overlay is refused in some sandboxes; vfs copies, and works everywhere.
    storage+=(--storage-driver vfs)
    podman "${storage[@]}" info >/dev/null 2>"$store/why" || cannot "$(tail -1 "$store/why")"
    : >"$store/vfs"
fi
case ${1:-} in
--podman) shift && exec podman "${storage[@]}" "$@" ;;
--buildah) shift && exec buildah "${storage[@]}" "$@" ;;
esac

arch=$(dpkg --print-architecture 2>/dev/null || uname -m) tag='' source=$root
options=(--layers)
while [ $# -gt 0 ]; do
    case $1 in
    --no-cache) options=(--layers --no-cache) ;;
    --arch) arch=$2 && shift ;;
    --tag) tag=$2 && shift ;;
    --source) source=$2 && shift ;;
    *)
        echo "image: unknown argument $1" >&2
        exit 2
        ;;
    esac
    shift
done
tag=${tag:-localhost/nvcf-registry-webhook:$arch}

# One build at a time in this storage.
exec 9>"$store/lock"
flock -w 1800 9 || cannot "another build holds $store/lock"

make_base() {
    local list
    local -a lists=()
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        if [ -s "$list" ] && grep -q bookworm "$list" && grep -qE '/debian/?([ ]|$)' "$list"; then lists+=("$list"); fi
    done
    [ ${#lists[@]} -gt 0 ] || cannot "no Debian bookworm among this machine's apt sources"
    echo "image: making $base from this machine's apt sources" >&2
    mmdebstrap --quiet --variant=minbase --mode=root bookworm "$store/base.tar" "${lists[@]}" \
        </dev/null >"$store/base.log" 2>&1 || cannot "mmdebstrap: $(tail -3 "$store/base.log")"
    podman "${storage[@]}" import "$store/base.tar" "$base" >"$store/base.log" 2>&1 ||
        cannot "podman import: $(tail -3 "$store/base.log")"
    rm -f "$store/base.tar"
}
podman "${storage[@]}" image exists "$base" || make_base
probe=$(buildah "${storage[@]}" from --pull-never "$base") || cannot "buildah from"
rc=0
buildah "${storage[@]}" run --isolation chroot "$probe" -- /bin/true >"$store/why" 2>&1 || rc=$?
buildah "${storage[@]}" rm "$probe" >/dev/null 2>&1 || true
[ "$rc" -eq 0 ] || cannot "chroot isolation: $(tail -1 "$store/why")"

epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
commit=${COMMIT:-$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}
version=${VERSION:-$(sed -nE 's/^VERSION \?= *//p' "$root/Makefile")}
bud() { # ARG…
    if ! buildah "${storage[@]}" bud "${options[@]}" --isolation chroot --pull-never \
        --build-arg "BASE=$base" --build-arg "TARGETARCH=$arch" "$@" "$source" </dev/null >"$store/build.log" 2>&1; then
        tail -60 "$store/build.log" >&2
        echo "image: the build failed; all of its output: $store/build.log" >&2
        exit 1
    fi
}
# The libraries under a tag of their own, so that pruning keeps them; their time is fixed, or
# every commit would build them anew.
bud --timestamp 0 --target libraries -t "localhost/nvcf-registry-webhook-libraries:$arch"
options=(--layers)
bud --timestamp "$epoch" --platform "linux/$arch" --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" \
    --iidfile "$store/iid" -t "$tag"
buildah "${storage[@]}" rmi --prune >/dev/null 2>&1 || true
sed "s|^sha256:||" "$store/iid"
echo
