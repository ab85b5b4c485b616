#!/usr/bin/env bash
# The main job, for real, without a cluster (make demo): issues a certificate, starts the server,
# sends it over TLS what a real API server sent when Helm installed an nvcf-api chart, and shows
# what it answers. Everything is under a temporary folder, on loopback, and gone at the end.
# NRW_BIN names the program; without it, the release build is used. Needs curl, jq, diff.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${NRW_BIN:-$PWD/build/release/nvcf-registry-webhook}
recorded=tests/e2e/recorded
work=$(mktemp -d "${TMPDIR:-/tmp}/nrw-demo.XXXXXX")
server=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local rc=$?
    trap - EXIT
    if [ -n "$server" ]; then
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ "$rc" -ne 0 ]; then
        echo "demo: failed (exit code $rc)" >&2
        [ ! -s "$work/server.log" ] || tail -5 "$work/server.log" >&2
    fi
    rm -rf "$work"
    exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$@"; }
folded() { fold -s -w 92 | sed 's/^/  /; s/ *$//'; }
run() { # NAME-SHOWN COMMAND…
    printf '  $ %s\n' "$1"
    shift
    "$@"
}
# until_ok TENTHS COMMAND…
until_ok() {
    local i n=$1
    shift
    for ((i = 0; i < n; i++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    return 1
}

# --- what is shown of a Deployment: its annotations and the API container's env ------------
view='
"annotations:",
(.metadata.annotations // {} | to_entries | sort_by(.key)[]
  | "  \(.key): \(if (.value | length) > 68 then .value[0:65] + "..." else .value end)"),
(.spec.template.spec.containers[] | select(.name == "helm-nvcf-api")
  | "env of container \(.name):",
    (.env[] | "  \(.name)=\(.value // "(from \(.valueFrom | keys[0]))")"))'
# JSON Patch (RFC 6902), as far as the answers use it: add, replace, remove.
# shellcheck disable=SC2016 # jq's own variables
patched='
def pointer: split("/")[1:] | map(gsub("~1"; "/") | gsub("~0"; "~"));
def place($doc): reduce .[] as $token ([];
  . as $at | . + [if ($doc | getpath($at) | type) == "array" and $token != "-"
                  then ($token | tonumber) else $token end]);
reduce (.response.patch // "W10=" | @base64d | fromjson)[] as $op ($object;
  . as $doc | ($op.path | pointer | place($doc)) as $path
  | if $op.op == "remove" then delpaths([$path])
    elif $path[-1] == "-" then setpath($path[:-1]; getpath($path[:-1]) + [$op.value])
    elif ($path[-1] | type) == "number" and $op.op == "add"
    then setpath($path[:-1]; getpath($path[:-1])
                 | .[:$path[-1]] + [$op.value] + .[$path[-1]:])
    else setpath($path; $op.value) end)'

ask() { # PATH REVIEW ANSWER
    curl -sS --fail-with-body --max-time 10 --cacert "$work/tls/ca.crt" \
        -H 'Content-Type: application/json' --data-binary "@$2" "https://localhost:$port$1" >"$3"
}
metrics() { curl -fsS --max-time 5 "http://127.0.0.1:$metrics_port/metrics"; }

verdict() { # ANSWER
    jq -r '.response | if .allowed then "allowed" + (if .patch then ", with a patch" else "" end)
        else "denied (\(.status.code) \(.status.reason)):" end' "$1" | sed 's/^/  /'
    jq -r '.response | select(.allowed | not) | .status.message' "$1" | folded
}

title '1. A certificate, a policy, the server'
run 'nvcf-registry-webhook certs issue --dns-name localhost --out-dir tls' \
    "$bin" certs issue --dns-name localhost --out-dir "$work/tls" >"$work/issued"
grep '\$' "$work/issued" || true
cat >"$work/policy.yaml" <<'END_POLICY'
apiVersion: nvcf-registry-webhook/v1
kind: RegistryPolicy
registries:
  GHCR:
    name: GitHub Container Registry
    hostname: ghcr.io
  INTERNAL:
    name: Corporate Registry
    hostname: registry.corp.example
END_POLICY
say '$ cat policy.yaml'
sed 's/^/    /' "$work/policy.yaml"
run 'nvcf-registry-webhook serve --policy-file policy.yaml --tls-cert tls/tls.crt --tls-key tls/tls.key'
"$bin" serve --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --drain-seconds 1 \
    --policy-file "$work/policy.yaml" --tls-cert "$work/tls/tls.crt" \
    --tls-key "$work/tls/tls.key" 2>"$work/server.log" &
server=$!
until_ok 100 grep -q '"msg":"serving"' "$work/server.log"
read -r port metrics_port < <(jq -r 'select(.msg == "serving") | "\(.port) \(.metrics_port)"' "$work/server.log")
until_ok 50 curl -fsS --max-time 2 "http://127.0.0.1:$metrics_port/readyz"
jq -r 'select(.msg == "serving") | "    serving on port \(.port), ready"' "$work/server.log"

title '2. helm install: the Deployment, before -> after   (POST /mutate, as a real API server sent it)'
review=$recorded/helm3-install.02-mutate-CREATE-Deployment.json
ask /mutate "$review" "$work/answer.json"
verdict "$work/answer.json"
jq -c .request.object "$review" >"$work/before.json"
jq --argjson object "$(cat "$work/before.json")" "$patched" "$work/answer.json" >"$work/after.json"
jq -r "$view" "$work/before.json" >"$work/before"
jq -r "$view" "$work/after.json" >"$work/after"
colour=never
[ -z "$bold" ] || colour=always
diff -U 100 --color="$colour" "$work/before" "$work/after" | tail -n +4 | sed 's/^/  /' || true
jq -c --slurpfile after "$work/after.json" '.request.object = $after[0]' "$review" >"$work/second.json"
ask /mutate "$work/second.json" "$work/answer.json"
say "the same again: $(verdict "$work/answer.json" | sed 's/^ *//')"
ask /validate "$work/second.json" "$work/answer.json"
say "POST /validate: $(verdict "$work/answer.json" | sed 's/^ *//')"

title '3. A Deployment that takes over a built-in: env NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME=mirror.corp.example'
jq -c '.request.object.spec.template.spec.containers[0].env += [
    {name: "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME", value: "mirror.corp.example"}]' \
    "$review" >"$work/takeover.json"
ask /mutate "$work/takeover.json" "$work/answer.json"
verdict "$work/answer.json"

title '4. The same through the ConfigMap that Helm writes first   (POST /validate)'
jq -c '.request.object.data += {
    NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_NAME: "Our Docker mirror",
    NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME: "mirror.corp.example"}' \
    "$recorded/helm3-upgrade-guide.01-validate-CREATE-ConfigMap.json" >"$work/configmap.json"
ask /validate "$work/configmap.json" "$work/answer.json"
verdict "$work/answer.json"

title '5. What the metrics say'
metrics | grep -E '^nvcf_registry_webhook_(admission_requests_total|findings_total|policy_registries)' |
    sed 's/^nvcf_registry_webhook_/  /'

title '6. SIGTERM'
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=''
say "drained and ended with exit code $code; the whole took $SECONDS s"
[ "$code" -eq 0 ]
