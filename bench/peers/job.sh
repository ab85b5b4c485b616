#!/usr/bin/env bash
# The job that everybody gets in this comparison: two registries, four variables.
#   job.sh registries       for the peers and the CEL policies: variables and values, JSON
#   job.sh policy           for ours: the same as its policy
#   job.sh review FILE      a recorded UPDATE of a Deployment, grown to about 17 KiB by more
#                           field managers, as a Deployment has that several tools have touched
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
    echo 'job.sh: registries, policy, review FILE or build DIR' >&2
    exit 2
    ;;
esac
