#!/usr/bin/env bash
# Runs the arm64 image's program on an emulated arm64 machine under Debian's own kernel: an emulator of single
# programs has no seccomp, and a system call that the list lacks on that architecture would show nowhere else.
#   arm64.sh PROGRAM     what runs in the machine is guest; below with-cluster.sh also as in a cluster
#
# Kernel and busybox come from this machine's own package sources, with a state of apt's apart, so that nothing
# foreign becomes installable here; they are kept in the cache.
set -euo pipefail
# shellcheck source=../integration/lib.sh
source "$(dirname "$0")/../integration/lib.sh"
program=$1
arm64=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nvcf-registry-webhook/arm64-machine

packages() {
    local kernel
    local -a apt=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$arm64/state"
        -o Dir::State::status="$arm64/status" -o Dir::Cache="$arm64/cache" -o APT::Sandbox::User=root)
    [ ! -e "$arm64/complete" ] || return 0
    rm -rf "$arm64"
    mkdir -p "$arm64"/{state/lists/partial,cache/archives/partial,tree}
    : >"$arm64/status"
    apt-get "${apt[@]}" -qq update || return 1
    kernel=$(apt-cache "${apt[@]}" depends linux-image-arm64 | sed -nE 's/.*Depends: (linux-image-[^:]+).*/\1/p' | head -1)
    (
        cd "$arm64"
        apt-get "${apt[@]}" -qq download "${kernel:?no kernel for arm64}" busybox-static || exit 1
        for package in *.deb; do dpkg-deb -x "$package" tree || exit 1; done
        rm -rf state cache ./*.deb
    ) || return 1
    : >"$arm64/complete"
}

ramdisk() { # FILE
    local to=$WORK/guest module at
    mkdir -p "$to"/{bin,proc,sys,dev,tmp,modules,data}
    cp "$arm64/tree/bin/busybox" "$to/bin/"
    cp "$program" "$to/program"
    cp "$root/tests/image/guest" "$to/init"
    chmod +x "$to/init" "$to/program"
    cp "$POLICY" "$to/data/policy.yaml"
    [ ! -s "$WORK/kubeconfig" ] || cp "$WORK/kubeconfig" "$to/data/kubeconfig"
    # In the order in which they need each other; those that the kernel has built in are no files.
    for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net; do
        at=$(find "$arm64/tree/lib/modules" -name "$module.ko" | head -1)
        [ -n "$at" ] || continue
        cp "$at" "$to/modules/"
        echo "$module.ko" >>"$to/modules/order"
    done
    (cd "$to" && find . | cpio --quiet -o -H newc | gzip -1) >"$1"
}

# Its console is $guest_log; the ports $https, $http and $gate here are its 8443, 8080 and 9000.
guest_start() {
    guest_log=$LOGS/guest.log
    free_port && https=$REPLY
    free_port && http=$REPLY
    free_port && gate=$REPLY
    ramdisk "$WORK/ramdisk"
    local forward=user,id=net
    forward+=,hostfwd=tcp:127.0.0.1:$https-:8443,hostfwd=tcp:127.0.0.1:$http-:8080,hostfwd=tcp:127.0.0.1:$gate-:9000
    background guest timeout 300 qemu-system-aarch64 -M virt -cpu cortex-a57 -m 512 -nographic -no-reboot \
        -kernel "$(echo "$arm64"/tree/boot/vmlinuz-*)" -initrd "$WORK/ramdisk" \
        -append 'console=ttyAMA0 audit=1 panic=-1 quiet' -netdev "$forward" -device virtio-net-pci,netdev=net,romfile=
    guest=$REPLY
}
guest_ready() { curl -fsS --max-time 3 "http://127.0.0.1:$http/readyz"; }
guest_go_on() { exec 9<>"/dev/tcp/127.0.0.1/$gate" && exec 9>&-; } # the machine's network takes it in any case
guest_said() { sed -n "s/\r//g; s/.*GUEST $1: //p" "$guest_log" | head -1; }
guest_mutate() { # curl's flags
    curl -sSk --max-time 20 -H 'Content-Type: application/json' --data-binary "@$root/tests/image/review.json" "$@" "https://127.0.0.1:$https/mutate"
}
policies() { [ "$(grep -c '"msg":"policy in force"' "$guest_log")" -ge "$1" ]; }
certificates() { [ "$(grep -c '"msg":"certificate in use"' "$guest_log")" -ge "$1" ]; }

on_files() {
    ok "arm64: ready" until_ok 600 guest_ready
    like "arm64: answers with a patch" '"patchType": ?"JSONPatch"' "$(guest_mutate 2>&1)"
    like "arm64: and over TLS 1.2" '"patchType": ?"JSONPatch"' "$(guest_mutate --tls-max 1.2 2>&1)"
    head -c 3000000 /dev/zero | tr '\0' ' ' >"$WORK/large"
    is "arm64: a large body" 400 "$(curl -sk --max-time 30 -o /dev/null -w '%{http_code}' --data-binary "@$WORK/large" \
        -H 'Content-Type: application/json' "https://127.0.0.1:$https/mutate")"
    guest_go_on
    ok "arm64: a new policy file is taken up" until_ok 200 policies 2
    ok "arm64: a new certificate is taken up" until_ok 200 certificates 2
    like "arm64: answers under it" '"patchType": ?"JSONPatch"' "$(guest_mutate 2>&1)"
    guest_go_on
}

prepare_cluster() {
    kubectl create namespace nrw
    kubectl create namespace nvcf
    kubectl -n nrw create configmap policy --from-file=policy.yaml="$POLICY"
    # The machine reaches this one's loopback as 10.0.2.2; the API server's certificate has another name for it.
    kubectl config view --raw --flatten --minify -o json |
        jq '.clusters[0].cluster |= (."tls-server-name" = (.server | capture("//(?<h>[^:/]+)").h) | .server |= sub("//[^:/]+"; "//10.0.2.2"))' \
            >"$WORK/kubeconfig"
}
webhooks() {
    local kind path
    for kind in Mutating Validating; do
        path=$(tr '[:upper:]' '[:lower:]' <<<"$kind" | sed 's/ing$/e/')
        cat <<END
---
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata: {name: nrw}
webhooks:
- name: $path.nrw.example
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {url: "https://localhost:$https/$path"}
  rules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
END
    done
}
registered() { [ -n "$(kubectl get mutatingwebhookconfiguration nrw -o jsonpath='{.webhooks[0].clientConfig.caBundle}')" ]; }
in_cluster() {
    webhooks | kubectl apply -f - >/dev/null
    ok "arm64: ready in a cluster" until_ok 600 guest_ready
    ok "arm64: its CA is registered" until_ok 200 registered
    ok "arm64: the chart is applied" kubectl apply --server-side -f "$root/tests/e2e/charts/rendered/api-plain.yaml"
    is "arm64: and injected" ghcr.io "$(kubectl -n nvcf get deployment -o json | jq -r \
        '[.items[0].spec.template.spec.containers[].env[]? | select(.name | endswith("_GHCR_HOSTNAME")).value] | first')"
    kubectl -n nrw create configmap policy --from-file=policy.yaml=<(sed 's/^registries:/registries: # again/' "$POLICY") \
        --dry-run=client -o yaml | kubectl replace -f - >/dev/null
    ok "arm64: a new policy in the cluster is taken up" until_ok 200 policies 4
    ok "arm64: certificates are renewed" until_ok 600 certificates 5
    ok "arm64: and trusted" kubectl -n nvcf annotate deployment --all arm64=yes
    ok "arm64: says so in an event" until_ok 100 injected_event
    guest_go_on
}
injected_event() { kubectl -n nvcf get events -o json | jq -e '[.items[] | select(.reason == "Injected")] | length > 0'; }

if ! { command -v qemu-system-aarch64 && command -v cpio; } >/dev/null; then
    skip "arm64: the program runs" "no qemu-system-aarch64, or no cpio (Debian: apt-get install qemu-system-arm cpio)"
    finish
fi
if ! packages >"$LOGS/packages.log" 2>&1; then
    skip "arm64: the program runs" "no kernel to be had: $(tail -1 "$LOGS/packages.log")"
    finish
fi
make_policy "$POLICY"
[ -z "${KUBECONFIG:-}" ] || prepare_cluster >"$LOGS/cluster.log" 2>&1
guest_start
on_files
if [ -n "${KUBECONFIG:-}" ]; then in_cluster; else skip "arm64: in a cluster" "there is none"; fi
ok "arm64: the machine comes to its end" end_of "$guest" 600
is "arm64: it is one" aarch64 "$(guest_said machine)"
like "arm64: version runs" 'openssl 3\.' "$(guest_said version)"
for part in files ${KUBECONFIG:+cluster}; do
    is "arm64: $part: the filter was on" 2 "$(guest_said "$part seccomp")"
    is "arm64: $part: exit code" 0 "$(guest_said "$part exit")"
    echo "arm64: $part: resident $(guest_said "$part resident")"
done
like "arm64: the kernel says what is refused" '\berrno\b' "$(guest_said logged)"
is "arm64: no system call was refused" 0 "$(guest_said refused)"
finish
