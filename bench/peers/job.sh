#!/usr/bin/env bash
# The job that everybody gets in this comparison: two registries, four variables.
#   job.sh registries       for the peers and the CEL policies: variables and values, JSON
#   job.sh policy           for ours: the same as its policy
#   job.sh review FILE      a recorded UPDATE of a Deployment, grown to about 17 KiB by more
#                           field managers, as a Deployment has that several tools have touched
#   job.sh ours DIR         our program as users run it, into DIR/ours: that of the image, if the image
#                           was built from the same sources (make image); otherwise NRW_BIN, linked to the
#                           machine's libraries. DIR/kind says which, DIR/bytes what is to be pulled
#   job.sh build DIR        the peers and the client of the API server, stripped, into DIR
set -euo pipefail
case ${1:-} in
registries)
    cat <<'END'
{"NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_HOSTNAME": "ghcr.io",
 "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME": "GitHub Container Registry",
 "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_INTERNAL_HOSTNAME": "registry.corp.example",
 "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_INTERNAL_NAME": "Corporate Registry"}
END
    ;;
policy)
    cat <<'END'
apiVersion: nvcf-registry-webhook/v1
kind: RegistryPolicy
registries:
  GHCR: {name: GitHub Container Registry, hostname: ghcr.io}
  INTERNAL: {name: Corporate Registry, hostname: registry.corp.example}
END
    ;;
review)
    jq -c 'def also($entry; $manager): . + [.[$entry] | .manager = $manager];
        .request |= ((.object, .oldObject) |=
                (.metadata.managedFields |= (also(0; "kubectl-edit") | also(0; "argocd-controller")))
            | .object.metadata.managedFields |= also(1; "nvcf-operator"))' "$2"
    ;;
ours)
    dir=$(cd "$2" && pwd)
    cd "$(dirname "$0")/../.."
    image=localhost/nvcf-registry-webhook:$(dpkg --print-architecture)
    podman=(tools/image.sh --podman)
    revision=$("${podman[@]}" image inspect --format '{{index .Labels "org.opencontainers.image.revision"}}' \
        "$image" 2>/dev/null) || revision=none
    if git diff --quiet "$revision" HEAD -- Makefile Dockerfile tools webhook certs 2>/dev/null; then
        container=$("${podman[@]}" create "$image")
        "${podman[@]}" export "$container" | tar -xf - -C "$dir" nvcf-registry-webhook
        "${podman[@]}" rm "$container" >/dev/null
        mv "$dir/nvcf-registry-webhook" "$dir/ours"
        "${podman[@]}" image inspect --format '{{.Size}}' "$image" >"$dir/bytes"
        echo "the static program of the image" >"$dir/kind"
    else
        cp "${NRW_BIN:-build/release/nvcf-registry-webhook}" "$dir/ours"
        stat -c %s "$dir/ours" >"$dir/bytes"
        echo 'the release build, with shared libraries (there was no image of these sources)' >"$dir/kind"
    fi
    ;;
build)
    command -v go >/dev/null || {
        echo 'job.sh: needs Go 1.26 or newer for the peers' >&2
        exit 3
    }
    mkdir -p "$2"
    out=$(cd "$2" && pwd)
    cd "$(dirname "$0")"
    for program in ctrlruntime nethttp updates; do
        CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/$program" "./$program"
    done
    ;;
*)
    echo 'job.sh: registries, policy, review FILE, ours DIR or build DIR' >&2
    exit 2
    ;;
esac
