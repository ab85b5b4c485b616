#!/bin/busybox sh
# The first and only process of a machine that arm64.sh starts: the image's program under the kernel of the
# other architecture, with its filter of system calls on. First with policy and certificate as files, then, if
# there is a /data/kubeconfig, as in a cluster. What the test wants to know is said on the console.
#
# Between the parts it waits until somebody connects to port 9000.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules/order); do $b insmod "/modules/$module"; done
$b ifconfig lo 127.0.0.1
$b ifconfig eth0 10.0.2.15 netmask 255.255.255.0

say() { echo "GUEST $1: $2"; }
gate() { $b nc -l -p 9000 </dev/null >/dev/null 2>&1; }
end() { # NAME PID
    say "$1 seccomp" "$($b sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$2/status")"
    say "$1 resident" "$($b sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$2/status")"
    $b kill -TERM "$2"
    wait "$2"
    say "$1 exit" $?
}

say machine "$($b uname -m)"
say version "$(/program version | $b tr -s '\n ' ' ')"
for name in old new; do
    $b mkdir "/tmp/$name"
    /program certs issue --dns-name localhost --out-dir "/tmp/$name" >/dev/null || say issue failed
done
serve="/program serve --listen 0.0.0.0:8443 --metrics-listen 0.0.0.0:8080 --drain-seconds 0"

# shellcheck disable=SC2086 # words
$serve --policy-file /data/policy.yaml --tls-cert /tmp/old/tls.crt --tls-key /tmp/old/tls.key &
program=$!
gate
$b sed 's/^registries:/registries: # again/' /data/policy.yaml >/data/next
$b mv /data/next /data/policy.yaml
$b mv /tmp/new/tls.key /tmp/old/tls.key
$b mv /tmp/new/tls.crt /tmp/old/tls.crt
gate
end files "$program"

if [ -e /data/kubeconfig ]; then
    # shellcheck disable=SC2086 # words
    POD_NAME=guest $serve --kubeconfig /data/kubeconfig --policy-configmap nrw/policy --tls-secret nrw/tls \
        --webhook-config nrw --dns-name localhost --cert-lifetime 30s --reconcile &
    program=$!
    gate
    end cluster "$program"
fi
say logged "$($b cat /proc/sys/kernel/seccomp/actions_logged)"
say refused "$($b dmesg | $b grep -c 'type=1326')"
$b dmesg | $b grep 'type=1326' | $b head -5
$b poweroff -f
