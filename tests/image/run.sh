#!/usr/bin/env bash
# Builds the image and runs it as Kubernetes' restricted profile would: no network but its own
# loopback, read-only root, no capabilities, no new privileges, user 65532, 32 MB of memory.
# Prints size, time from exec to ready and resident memory. Where the tools refuse, it is skipped
# and the reason is said. IMAGE_QUICK=1 leaves out what builds everything a second time.
set -euo pipefail
source "$(dirname "$0")/../integration/lib.sh"
image=$root/tools/image.sh
max_bytes=$((9 * 1000 * 1000))

# What is built, in a folder of another name with other times, before anybody changes it; the commit and
# its time are asked once, for the same reason.
copy=$WORK/some/other/folder
mkdir -p "$copy"
(cd "$root" && tar -cf - Makefile LICENSE .dockerignore Dockerfile tools webhook certs) | tar -xf - -C "$copy"
find "$copy" -exec touch -d '2001-02-03 04:05:06' {} +
COMMIT=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)
export COMMIT SOURCE_DATE_EPOCH

# In a cluster, too, if there is a control plane; building one is not this suite's.
run_on_arm64() { # PROGRAM
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/nvcf-registry-webhook/bin program more
    local -a beside=("$root/tests/e2e/with-cluster.sh")
    for program in etcd kube-apiserver kube-controller-manager kubectl; do
        [ -x "$cache/$program" ] || beside=(env -u KUBECONFIG)
    done
    "${beside[@]}" "$root/tests/image/arm64.sh" "$1" >"$WORK/arm64" 2>&1 || true
    sed '$d' "$WORK/arm64"
    read -r -a more <<<"$(tail -1 "$WORK/arm64")"
    if [[ "${more[*]}" =~ ^[0-9]+\ passed,\ [0-9]+\ failed ]]; then
        passed=$((passed + more[0])) failed=$((failed + more[2])) skipped=$((skipped + ${more[4]:-0}))
    else
        fail "arm64: ends with a count" "${more[*]}"
    fi
}

begin=$SECONDS rc=0
id=$("$image" 2>"$LOGS/build.log" | tail -1) || rc=$?
if [ "$rc" -eq 3 ]; then
    skip "the image" "$(tail -1 "$LOGS/build.log")"
    finish
fi
is "the image builds" 0 "$rc"
[ "$rc" -eq 0 ] || finish
echo "built in $((SECONDS - begin)) s"

# --- what is in it ------------------------------------------------------------------------
inspect() { "$image" --podman image inspect --format "$1" "$id"; }
is "user" 65532:65532 "$(inspect '{{.Config.User}}')"
is "entry point" '[/nvcf-registry-webhook]' "$(inspect '{{.Config.Entrypoint}}')"
is "licence label" Apache-2.0 "$(inspect '{{index .Labels "org.opencontainers.image.licenses"}}')"
like "version label" '^[0-9]+\.[0-9]+\.[0-9]+' "$(inspect '{{index .Labels "org.opencontainers.image.version"}}')"
like "revision label" '^([0-9a-f]{12}|unknown)$' "$(inspect '{{index .Labels "org.opencontainers.image.revision"}}')"

tree=$WORK/tree
mkdir -p "$tree"
container=$("$image" --podman create "$id")
"$image" --podman export "$container" | tar -xf - -C "$tree"
"$image" --podman rm "$container" >/dev/null
program=$tree/nvcf-registry-webhook
bytes=$(stat -c %s "$program")
files=$(find "$tree" -type f | sed "s|^$tree||" | sort)
echo "program: $bytes bytes; image: $(inspect '{{.Size}}') bytes"
at_most "size of the program" "$max_bytes" "$bytes"
is "programs in the image" /nvcf-registry-webhook "$(find "$tree" -type f -perm /111 | sed "s|^$tree||")"
is "nothing set-uid or world-writable" '' "$(find "$tree" \( -perm /6000 -o -perm -0002 \) -not -type l -not -path "$tree/proc*" -not -path "$tree/dev*" -not -path "$tree/run*" -not -path "$tree/tmp*" | sed "s|^$tree||")"
like "licences of what is linked in" 'licenses/libssl-dev' "$files"
like "list of components" 'components.tsv' "$files"
headers=$(readelf -hlW "$program")
like "position independent" 'Type: +DYN' "$headers"
unlike "static: asks for no loader" 'INTERP' "$headers"
like "read-only relocations" 'GNU_RELRO' "$headers"
unlike "no GnuTLS" 'gnutls' "$(strings -a "$program" | grep -i gnutls | head -3)"
like "OpenSSL 3" 'OpenSSL 3\.' "$(strings -a "$program" | grep -m1 '^OpenSSL 3' || true)"
unlike "no path of the place it was built in" '/(source|src)/' "$(strings -a "$program" | grep -E '^/(source|src)/' | head -3)"

# --- the same bytes again, from another folder --------------------------------------------
if [ "${IMAGE_QUICK:-}" ]; then
    skip "reproducible" "IMAGE_QUICK is set"
    skip "arm64" "IMAGE_QUICK is set"
else
    again=$("$image" --no-cache --source "$copy" --tag localhost/nvcf-registry-webhook:again 2>"$LOGS/again.log" | tail -1) || true
    is "built again without a cache, the same image" "$id" "$again"

    # The other architecture, cross-compiled.
    case $(uname -m) in x86_64) other=arm64 machine=AArch64 ;; *) other=amd64 machine='Advanced Micro Devices X-86-64' ;; esac
    rc=0
    foreign=$("$image" --arch "$other" 2>"$LOGS/$other.log" | tail -1) || rc=$?
    is "$other builds" 0 "$rc"
    if [ "$rc" -eq 0 ]; then
        container=$("$image" --podman create --arch "$other" "$foreign" 2>/dev/null)
        "$image" --podman export "$container" | tar -xf - -C "$WORK" nvcf-registry-webhook
        "$image" --podman rm "$container" >/dev/null
        like "$other: the program is of that machine" "Machine: +$machine" "$(readelf -hW "$WORK/nvcf-registry-webhook")"
        is "$other: the image says so" "$other" "$("$image" --podman image inspect --format '{{.Architecture}}' "$foreign")"
        echo "$other program: $(stat -c %s "$WORK/nvcf-registry-webhook") bytes"
        [ "$other" != arm64 ] || run_on_arm64 "$WORK/nvcf-registry-webhook"
    fi
fi

# --- run as Kubernetes would --------------------------------------------------------------
restricted=(--runtime runc run --cgroups enabled --network=none --ulimit nofile=4096:4096 --ulimit nproc=4096:4096
    --read-only --read-only-tmpfs=false --cap-drop=all --security-opt no-new-privileges --user 65532:65532
    --memory 32m --memory-swap 32m)
name=nrw-image-test-$$
remove() { "$image" --podman rm -f -t 1 "$name" >/dev/null 2>&1 || true; }
trap 'rc=$?; remove; (exit "$rc"); cleanup' EXIT

rc=0
"$image" --podman "${restricted[@]}" --rm --name "$name" "$id" version >"$BODY" 2>"$LOGS/version.log" || rc=$?
if [ "$rc" -ne 0 ] && grep -qiE 'cgroup|runc|OCI|mount|permission' "$LOGS/version.log"; then
    skip "running the image" "$(tail -1 "$LOGS/version.log")"
    finish
fi
is "version runs" 0 "$rc"
like "version names the libraries" 'openssl +3\.' "$(cat "$BODY")"
like "version says its own" '[0-9]+\.[0-9]+\.[0-9]+' "$(cat "$BODY")"

remove
background container "$image" --podman "${restricted[@]}" --name "$name" "$id" serve --demo
runner=$REPLY
pid=''
started() { pid=$("$image" --podman inspect --format '{{.State.Pid}}' "$name" 2>/dev/null) && [ "${pid:-0}" -gt 0 ]; }
until_ok 200 started || true
isnt "the container starts" '' "$pid"
[ -n "$pid" ] || finish
inside() { nsenter -t "$pid" -n "$@"; }
up() { inside curl -fsS --max-time 2 http://127.0.0.1:8080/readyz; }
until_ok 200 up || true
ok "ready" up
is "runs as 65532" 65532 "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")"
is "no capabilities" 0000000000000000 "$(awk '/^CapEff:/ { print $2 }' "/proc/$pid/status")"
is "no new privileges" 1 "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$pid/status")"
mutate() { inside curl -sSk --max-time 5 -H 'Content-Type: application/json' --data-binary "@$root/tests/image/review.json" https://127.0.0.1:8443/mutate; }
like "answers a review" '"allowed": ?true' "$(mutate 2>&1)"
like "answers with a patch" '"patchType": ?"JSONPatch"' "$(mutate 2>&1)"
for _ in $(seq 200); do mutate >/dev/null; done
echo "resident after 202 reviews over fresh connections: $(rss_kib "$pid") KiB"
at_most "resident memory (KiB)" $((24 * 1024)) "$(rss_kib "$pid")"
is "still the same process" "$pid" "$("$image" --podman inspect --format '{{.State.Pid}}' "$name")"
is "wrote nothing" '' "$("$image" --podman diff "$name" 2>/dev/null | grep -vE '^C /?(etc|dev|proc|sys|run)$|/etc/(hosts|hostname|resolv.conf|mtab)$|/run/|/dev/' || true)"
"$image" --podman kill --signal TERM "$name" >/dev/null
until_ok 300 gone "$pid" || true
ok "ends after SIGTERM" gone "$pid"
end_of "$runner" 100 || true
is "exit code" 0 "$("$image" --podman inspect --format '{{.State.ExitCode}}' "$name")"
remove

# --- exec to ready ------------------------------------------------------------------------
# The program out of the image, started directly, so that no container tool is measured. With --demo it
# makes a certificate first; what is measured is a server that is given one, as in a cluster.
NRW_BIN=$program
free_port && port=$REPLY
free_port && metrics=$REPLY
make_cert "$CERTS" tls
make_policy "$POLICY"
sum=0 runs=5
for i in $(seq $runs); do
    t0=$(date +%s%N)
    background "start-$i" "$program" serve --listen "127.0.0.1:$port" --metrics-listen "127.0.0.1:$metrics" \
        --policy-file "$POLICY" --tls-cert "$CERTS/tls.crt" --tls-key "$CERTS/tls.key" --drain-seconds 0
    SERVER_PID=$REPLY
    for ((k = 0; k < 500; k++)); do
        if exec 8<>"/dev/tcp/127.0.0.1/$metrics"; then
            printf 'GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&8
            read -r _ code _ <&8 || code=0
            exec 8>&-
            [ "$code" != 200 ] || break
        fi 2>/dev/null
        sleep 0.002
    done
    t1=$(date +%s%N)
    sum=$((sum + (t1 - t0) / 1000))
    stop_server TERM 100
done
echo "exec to ready: $((sum / runs / 1000)).$(printf '%03d' $((sum / runs % 1000))) ms, mean of $runs (the shell's own polling included)"
at_most "exec to ready (ms)" 1000 $((sum / runs / 1000))

# --- bill of materials --------------------------------------------------------------------
ok "the SBOM is written" "$root/tools/sbom.sh" "$WORK/sbom.json" "$id"
if [ -s "$WORK/sbom.json" ]; then
    is "SBOM format" 'CycloneDX 1.5' "$(jq -r '"\(.bomFormat) \(.specVersion)"' "$WORK/sbom.json")"
    is "SBOM names what is linked in" 'curl glibc jansson libmicrohttpd libyaml openssl' \
        "$(jq -r '[.components[].name] | sort | join(" ")' "$WORK/sbom.json")"
    is "SBOM: each with version, purl and licence" true \
        "$(jq '[.components[] | (.version != "") and (.purl | startswith("pkg:deb/debian/")) and (.licenses | length > 0)] | all' "$WORK/sbom.json")"
    is "SBOM names the program's bytes" "$(sha256sum "$program" | cut -d' ' -f1)" \
        "$(jq -r '.metadata.component.hashes[] | select(.alg == "SHA-256").content' "$WORK/sbom.json")"
fi
finish
