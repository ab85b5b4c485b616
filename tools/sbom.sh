#!/usr/bin/env bash
# Writes the bill of materials of the image, CycloneDX 1.5 JSON: the program, its bytes' hash, and
# what is statically linked into it, in the versions of the very packages it was linked from (the
# image carries that list). Same image, same file.
#   tools/sbom.sh [FILE [IMAGE-ID]]     default build/sbom.cdx.json of an image built now
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/sbom.cdx.json}
mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

id=${2:-}
[ -n "$id" ] || id=$("$root/tools/image.sh" | tail -1)
podman() { "$root/tools/image.sh" --podman "$@"; }
container=$(podman create "$id")
podman export "$container" | tar -xf - -C "$work" nvcf-registry-webhook usr/share/doc/nvcf-registry-webhook
podman rm "$container" >/dev/null
label() { podman image inspect --format "{{index .Labels \"org.opencontainers.image.$1\"}}" "$id"; }

jq -Rn --arg version "$(label version)" --arg commit "$(label revision)" --arg image "$id" \
    --arg created "$(podman image inspect --format '{{.Created.UTC.Format "2006-01-02T15:04:05Z"}}' "$id")" \
    --arg sha "$(sha256sum "$work/nvcf-registry-webhook" | cut -d' ' -f1)" '
    # SPDX expressions of what is linked in, from the Debian copyright files that the image carries.
    {glibc: "LGPL-2.1-or-later", openssl: "Apache-2.0", jansson: "MIT", libyaml: "MIT",
     libmicrohttpd: "LGPL-2.1-or-later", curl: "curl"} as $licence
    | [inputs | select(length > 0) | split("\t") | {name: .[0], version: .[1]}] as $parts
    | ("pkg:generic/nvcf-registry-webhook@" + $version) as $self
    | {bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
       serialNumber: ("urn:uuid:" + ($image[0:8] + "-" + $image[8:12] + "-5" + $image[13:16] + "-8" + $image[17:20] + "-" + $image[20:32])),
       metadata: {timestamp: $created, component: {type: "application", name: "nvcf-registry-webhook", version: $version,
         "bom-ref": $self, purl: $self, licenses: [{license: {id: "Apache-2.0"}}],
         hashes: [{alg: "SHA-256", content: $sha}],
         properties: [{name: "commit", value: $commit}, {name: "image", value: ("sha256:" + $image)}]}},
       components: [$parts[] | ("pkg:deb/debian/" + .name + "@" + (.version | @uri) + "?arch=source") as $purl
         | {type: "library", name, version, "bom-ref": $purl, purl: $purl, scope: "required",
            licenses: [{license: {id: ($licence[.name] // error("no licence known for \(.name)"))}}]}],
       dependencies: [{ref: $self, dependsOn: [$parts[] | "pkg:deb/debian/" + .name + "@" + (.version | @uri) + "?arch=source"]}]}
    ' <"$work/usr/share/doc/nvcf-registry-webhook/components.tsv" >"$work/sbom.json"
mv "$work/sbom.json" "$out"
[ "$out" != "$root/build/sbom.cdx.json" ] || echo "wrote ${out#"$root"/}"
