#!/usr/bin/env bash
# Self-managed certificates against a real API server and etcd: three replicas, every call a
# TLS handshake that the API server verifies with the caBundle in the configurations. Leaves
# live 18 s here and CAs 45 s, so that a minute sees what takes a year elsewhere.
# The programs come from the control plane suite's cache; where it is empty, all is skipped
# (tests/e2e/tools/build.sh etcd kube-apiserver helm4 fills it).
set -euo pipefail
# shellcheck source=../integration/lib.sh
source "$(dirname "$0")/../integration/lib.sh"

# shellcheck source=../integration/support/cluster.sh
source "$root/tests/integration/support/cluster.sh"
replica=${NRW_BUILD:-$root/build/release}/tests/tools/rotate_replica
cluster_or_skip 'certificates against a real API server'

# One port for each replica, and each is called by a webhook of its own: so every admission
# is a handshake with every one of them.
hook_ports=("$(free_port)" "$(free_port)" "$(free_port)")
kubectl create namespace hooks >/dev/null
kubectl create namespace load >/dev/null
kubectl -n hooks create service clusterip hook --tcp="${hook_ports[0]}" --tcp="${hook_ports[1]}" --tcp="${hook_ports[2]}" >/dev/null
address=$(kubectl -n hooks get service hook -o jsonpath='{.spec.clusterIP}')

configuration() { # KIND NAME REPLICAS
    local i
    cat <<END
---
apiVersion: admissionregistration.k8s.io/v1
kind: $1
metadata: {name: hook}
webhooks:
$(for ((i = 0; i < $3; i++)); do
        cat <<WEBHOOK
- name: replica-$i.$2.example.com
  clientConfig: {service: {name: hook, namespace: hooks, port: ${hook_ports[$i]}, path: /$2}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps], scope: Namespaced}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: load}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
WEBHOOK
    done)
END
}
hooks=3
configurations() { # REPLICAS
    hooks=$1
    kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration hook --ignore-not-found >/dev/null
    { configuration MutatingWebhookConfiguration mutate "$1" && configuration ValidatingWebhookConfiguration validate "$1"; } |
        kubectl create -f - >/dev/null
}

# The webhook's own account, with the rules that the documentation gives it.
kubectl apply -f - >/dev/null <<'END'
apiVersion: v1
kind: ServiceAccount
metadata: {name: hook, namespace: hooks}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: hook, namespace: hooks}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [create]}
- {apiGroups: [""], resources: [secrets], resourceNames: [hook-tls], verbs: [get, list, watch, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hook, namespace: hooks}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: hook}
subjects: [{kind: ServiceAccount, name: hook, namespace: hooks}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: hook}
rules:
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations, validatingwebhookconfigurations]
  resourceNames: [hook]
  verbs: [get, list, watch, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: hook}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: hook}
subjects: [{kind: ServiceAccount, name: hook, namespace: hooks}]
END
account() { # FILE: a kubeconfig with a token of the webhook's account
    kubectl config view --raw --minify --flatten -o json |
        jq --arg t "$(kubectl -n hooks create token hook)" \
            '.users = [{name: "hook", user: {token: $t}}] | .contexts[0].context.user = "hook"' >"$1"
}
account "$WORK/hook.kubeconfig"

prefix=() # of the replica's command
# up PORT-INDEX NAME [CA-S LEAF-S SETTLE-S CHECK-MS [KILL-AT]]: a replica; sets REPLY
up() {
    local port=${hook_ports[$1]} name=$2
    shift 2
    [ $# -ge 4 ] || set -- 45 18 3 1000
    background "$name" ${prefix[@]+"${prefix[@]}"} "$replica" serve "$WORK/hook.kubeconfig" hooks/hook-tls hook hook.hooks.svc \
        "$address:$port" "$@"
}
down() { # PID…
    local p
    for p in "$@"; do
        kill -TERM "$p"
        end_of "$p" 100 || fail "replica $p ends after SIGTERM"
        wait "$p" 2>/dev/null || true
        forget "$p"
    done
}
# shellcheck disable=SC2317 # called through ok and until_ok
says() { grep -qE "$2" "$LOGS/$1.log"; }      # NAME REGEX
times() { grep -cE "$2" "$LOGS/$1.log" || true; } # NAME REGEX
secret() { kubectl -n hooks get secret hook-tls -o jsonpath="{.data.${1/./\\.}}" | base64 -d; }
bundles() { # every caBundle, one a line
    kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration hook -o json |
        jq -r '.items[].webhooks[].clientConfig.caBundle // "none"'
}
in_order() { # all caBundles are ca.crt, and the leaf verifies with them
    local want
    want=$(secret ca.crt | base64 -w0)
    [ -n "$want" ] && [ "$(bundles | sort -u)" = "$want" ] && [ "$(bundles | wc -l)" -eq $((2 * hooks)) ] &&
        openssl verify -CAfile <(secret ca.crt) -purpose sslserver -verify_hostname hook.hooks.svc <(secret tls.crt)
}
call() { kubectl -n load create configmap "call-$RANDOM" --dry-run=server; }
anew() {
    kubectl -n hooks delete secret hook-tls --ignore-not-found >/dev/null
    configurations 1
}
cas() { grep -c BEGIN <(secret ca.crt); }

# --- three replicas begin at once, with nothing there ----------------------------------------
configurations 3
three=()
for i in 1 2 3; do
    up $((i - 1)) "replica-$i"
    three+=("$REPLY")
done
for i in 1 2 3; do ok "replica $i is ready" until_ok 150 says "replica-$i" '^ready'; done
ok 'bundles, CA and leaf fit together' in_order
is 'they agreed on one CA' 1 "$(cas)"
is 'one certificate is served by all' 1 \
    "$(grep -hoE 'sha256="[0-9a-f]+"' "$LOGS"/replica-[123].log | sort -u | wc -l)"
ok 'the API server calls them' until_ok 50 call
is 'the Secret is of the type for it' kubernetes.io/tls "$(kubectl -n hooks get secret hook-tls -o jsonpath='{.type}')"

# --- rotations under load ----------------------------------------------------------------------
# Two loaders for a minute; a leaf is renewed every 12 s, the CA after 30 s, the old one
# dropped 20 s later.
first_ca=$(secret ca.crt | openssl x509 -noout -fingerprint)
background load-1 "$replica" load "$admin" load 60
load_1=$REPLY
background load-2 "$replica" load "$admin" load 60
load_2=$REPLY
most=1
while alive "$load_1" || alive "$load_2"; do
    now=$(cas)
    [ "$now" -le "$most" ] || most=$now
    sleep 1
done
forget "$load_1"
forget "$load_2"
for i in 1 2; do
    like "no call failed while certificates rotated (load $i)" '^[0-9]{3,} calls, 0 failed$' "$(tail -1 "$LOGS/load-$i.log")"
    echo "     $(tail -1 "$LOGS/load-$i.log")"
done
for i in 1 2 3; do
    served=$(times "replica-$i" '^serving until')
    if [ "$served" -ge 5 ]; then pass "replica $i served $served certificates one after another"; else
        fail "replica $i served enough certificates" "only $served"
    fi
done
is 'old and new CA stood side by side' 2 "$most"
issued=$(cat "$LOGS"/replica-[123].log | grep -c 'action="issue-ca"' || true)
if [ "$issued" -ge 1 ]; then pass 'a new CA was issued'; else fail 'a new CA was issued'; fi
at_most 'once for each rotation, not by every replica' 2 "$issued"
ok 'the old one was dropped' grep -q 'action="drop-ca"' "$LOGS"/replica-[123].log
isnt 'and the CA is a new one' "$first_ca" "$(secret ca.crt | openssl x509 -noout -fingerprint)"
ok 'everything is in order afterwards' until_ok 50 in_order

# --- someone else's hands ------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=foreign \
    -keyout "$WORK/foreign.key" -out "$WORK/foreign.crt" 2>/dev/null
foreign=$(base64 -w0 "$WORK/foreign.crt")
begin=$(date +%s%N)
kubectl patch validatingwebhookconfiguration hook --type json \
    -p "[{\"op\":\"replace\",\"path\":\"/webhooks/1/clientConfig/caBundle\",\"value\":\"$foreign\"}]" >/dev/null
ok "someone else's caBundle is replaced" until_ok 100 in_order
echo "     after $((($(date +%s%N) - begin) / 1000000)) ms"
configurations 3 # as helm uninstall and install would: without a caBundle
ok 'configurations made anew get their caBundle' until_ok 100 in_order
kubectl -n hooks patch secret hook-tls -p '{"data":{"tls.key":"AAAA"}}' >/dev/null
ok 'a leaf whose key was destroyed is issued anew' until_ok 150 in_order
kubectl -n hooks patch secret hook-tls -p '{"data":{"ca.key":"AAAA"}}' >/dev/null
two_cas() { [ "$(cas)" -ge 2 ] && in_order; }
ok "a destroyed CA key leads to a rotation, not to an outage" until_ok 150 two_cas
ok 'calls go through' until_ok 20 call
kubectl -n hooks label secret hook-tls kept=yes >/dev/null
kubectl -n hooks patch secret hook-tls -p '{"data":{"tls.crt":"AAAA"}}' >/dev/null
ok 'a destroyed leaf is issued anew' until_ok 150 in_order
is 'labels of others stay' yes "$(kubectl -n hooks get secret hook-tls -o jsonpath='{.metadata.labels.kept}')"
background load-3 "$replica" load "$admin" load 12
load_3=$REPLY
sleep 1
kubectl -n hooks delete secret hook-tls >/dev/null
ok 'a deleted Secret is made anew' until_ok 150 in_order
end_of "$load_3" 200 || fail 'the load ends'
forget "$load_3"
like 'without a failed call' '^[0-9]+ calls, 0 failed$' "$(tail -1 "$LOGS/load-3.log")"

# --- the API server goes and comes back -------------------------------------------------------------
handshake() {
    openssl s_client -connect "$address:${hook_ports[0]}" -servername hook.hooks.svc -verify_return_error \
        -verify_hostname hook.hooks.svc -CAfile "$WORK/bundle.crt" </dev/null
}
secret ca.crt >"$WORK/bundle.crt"
api_kill
sleep 3
ok 'without an API server the last certificate is served' handshake
api_up
ok 'and with it again calls go through' until_ok 100 call
sleep 15 # over the next renewal
ok 'and renewals go on' until_ok 50 in_order
ok 'with calls' call

# --- rights that are missing ---------------------------------------------------------------------------
kubectl patch clusterrole hook --type json -p '[{"op":"replace","path":"/rules/0/verbs","value":["get","list","watch"]}]' >/dev/null
configurations 3
ok 'a missing right to patch is named' until_ok 150 says replica-1 \
    '^problem .*needs the rule \{apiGroups: \["admissionregistration.k8s.io"\], resources: \[(mutating|validating)webhookconfigurations\], resourceNames: \[hook\], verbs: \[patch\]\} in a ClusterRole'
ok 'and makes it not ready' says replica-1 '^not ready'
kubectl patch clusterrole hook --type json -p '[{"op":"replace","path":"/rules/0/verbs","value":["get","list","watch","patch"]}]' >/dev/null
ok 'given back, all is well by itself' until_ok 400 in_order
kubectl -n hooks patch role hook --type json -p '[{"op":"remove","path":"/rules/1"}]' >/dev/null
ok 'a missing right to the Secret is named' until_ok 150 says replica-1 \
    '^problem .*needs the rule \{apiGroups: \[""\], resources: \[secrets\], resourceNames: \[hook-tls\], verbs: \[get\]\} in a Role in namespace hooks'
ok 'calls go through all the same' call
kubectl -n hooks patch role hook --type json \
    -p '[{"op":"add","path":"/rules/-","value":{"apiGroups":[""],"resources":["secrets"],"resourceNames":["hook-tls"],"verbs":["get","list","watch","patch"]}}]' >/dev/null
ok 'and renewals go on when it is back' until_ok 400 in_order
down "${three[@]}"

# --- a Secret that a chart made, empty; no right to create one is needed for it --------------------------
anew
kubectl -n hooks create secret generic hook-tls >/dev/null
kubectl -n hooks patch role hook --type json -p '[{"op":"replace","path":"/rules/0/verbs","value":["deletecollection"]}]' >/dev/null
up 0 empty
ok 'an empty Secret is filled' until_ok 150 in_order
is 'and stays what it was' Opaque "$(kubectl -n hooks get secret hook-tls -o jsonpath='{.type}')"
kubectl -n hooks delete secret hook-tls >/dev/null
ok 'a missing right to create one is named' until_ok 150 says empty '^problem .*secrets.*verbs: \[create\]'
kubectl -n hooks patch role hook --type json -p '[{"op":"replace","path":"/rules/0/verbs","value":["create"]}]' >/dev/null
ok 'given it, the Secret is made' until_ok 400 in_order
down "$REPLY"

# --- an expired Secret at the start ----------------------------------------------------------------------
anew
up 0 short 6 6 1 500
short=$REPLY
ok 'certificates of six seconds' until_ok 100 in_order
down "$short"
sleep 7
if in_order >/dev/null 2>&1; then fail 'they have expired'; else pass 'they have expired'; fi
up 0 after-expiry
ok 'an expired Secret is replaced at the start' until_ok 150 in_order
ok 'and calls go through' until_ok 50 call
down "$REPLY"

# --- killed at every step ------------------------------------------------------------------------------------
for step in secret-before secret-after mutating-before mutating-after validating-before validating-after; do
    anew
    up 0 "killed-$step" 45 18 3 1000 "$step"
    killed=$REPLY
    end_of "$killed" 100 || fail "the replica dies at $step"
    wait "$killed" 2>/dev/null || true
    forget "$killed"
    up 0 "successor-$step"
    ok "killed at $step, the next one mends it" until_ok 150 in_order
    ok "and is called ($step)" until_ok 50 call
    down "$REPLY"
done

# --- clocks that are wrong: one by two hours, one by twenty days ---------------------------------------------
library=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | sed -n 1p)
if [ -z "$library" ]; then
    skip 'replicas with wrong clocks' 'faketime is not installed (Debian package faketime)'
elif [[ ${NRW_FLAVOUR:-release} != release ]]; then
    skip 'replicas with wrong clocks' 'faketime and sanitizers do not go together'
else
    anew
    configurations 3
    clocks=()
    for i in 0 1 2; do
        case $i in
        1) ahead=+2h ;;
        2) ahead=+20d ;;
        *) ahead=+0 ;;
        esac
        # Not by the program faketime: it waits for a child, which signals would not reach.
        prefix=(env "LD_PRELOAD=$library" "FAKETIME=$ahead" FAKETIME_DONT_FAKE_MONOTONIC=1)
        up "$i" "clock-$i"
        clocks+=("$REPLY")
    done
    prefix=()
    for i in 0 1 2; do ok "replica $i is ready, whatever its clock says" until_ok 150 says "clock-$i" '^ready'; done
    background load-5 "$replica" load "$admin" load 20
    end_of "$REPLY" 400 || fail 'the load ends'
    forget "$REPLY"
    like 'no call failed' '^[0-9]+ calls, 0 failed$' "$(tail -1 "$LOGS/load-5.log")"
    ok 'all is in order' until_ok 50 in_order
    issued=$(cat "$LOGS"/clock-[012].log | grep -cE 'action="issue-(all|ca|leaf)"' || true)
    at_most 'they agree, so nothing is issued twice' 5 "$issued"
    ok 'and the log says why' grep -q "clock differs from this machine's" "$LOGS/clock-1.log"
    down "${clocks[@]}"
fi

# --- the program itself: three of `serve`, the same minute ----------------------------------------------------
kubectl create namespace nvcf >/dev/null
kubectl create role reader -n nvcf --verb=get,list,watch --resource=configmaps >/dev/null
kubectl create rolebinding reader -n nvcf --role=reader --serviceaccount=hooks:hook >/dev/null
kubectl -n hooks delete secret hook-tls >/dev/null
configurations 3
make_policy "$POLICY"
declare -a serve_pid=() serve_metrics=()
for i in 0 1 2; do
    serve_metrics[i]=$(free_port)
    background "serve-$i" "$NRW_BIN" serve --listen "$address:${hook_ports[$i]}" \
        --metrics-listen "127.0.0.1:${serve_metrics[$i]}" --policy-file "$POLICY" \
        --kubeconfig "$WORK/hook.kubeconfig" --tls-secret hooks/hook-tls --webhook-config hook \
        --dns-name hook.hooks.svc --ca-lifetime 45s --cert-lifetime 18s --threads 1 \
        --drain-seconds 0 --log-format text
    serve_pid[i]=$REPLY
done
serve_ready() { curl -fsS --max-time 2 "http://127.0.0.1:${serve_metrics[$1]}/readyz"; }
serve_metric() { # INDEX SERIES
    curl -fsS --max-time 5 "http://127.0.0.1:${serve_metrics[$1]}/metrics" |
        awk -v want="nvcf_registry_webhook_$2" '$1 == want { print $2 }'
}
for i in 0 1 2; do ok "serve $i is ready" until_ok 150 serve_ready "$i"; done
background load-4 "$replica" load "$admin" load 60
load_4=$REPLY
handshakes=0 refused=0 unready=0
while alive "$load_4"; do
    # As an API server would that looks now: the published bundle against what is served.
    bundles | sed -n 1p | base64 -d >"$WORK/bundle.crt"
    for i in 0 1 2; do
        handshakes=$((handshakes + 1))
        openssl s_client -connect "$address:${hook_ports[$i]}" -servername hook.hooks.svc \
            -verify_return_error -verify_hostname hook.hooks.svc -CAfile "$WORK/bundle.crt" \
            </dev/null >"$LOGS/handshake.out" 2>&1 || refused=$((refused + 1))
        serve_ready "$i" >/dev/null 2>&1 || unready=$((unready + 1))
    done
    sleep 0.5
done
forget "$load_4"
like 'no call of serve failed while certificates rotated' '^[0-9]{3,} calls, 0 failed$' "$(tail -1 "$LOGS/load-4.log")"
echo "     $(tail -1 "$LOGS/load-4.log"); $handshakes handshakes besides, $refused refused"
is 'nor a handshake' 0 "$refused"
[ "$refused" -eq 0 ] || grep -hE 'certificate|problem' "$LOGS"/serve-[012].log | sort | sed 's/^/     /'
is 'nor was any of them unready for a moment' 0 "$unready"
for i in 0 1 2; do
    served=$(grep -c 'serving a new certificate' "$LOGS/serve-$i.log" || true)
    if [ "$served" -ge 5 ]; then pass "serve $i served $served certificates"; else
        fail "serve $i served enough certificates" "only $served"
    fi
    is "serve $i counts them" "$((served - 1))" "$(serve_metric "$i" 'certificate_rotations_total{result="success"}')"
done
issued=$(cat "$LOGS"/serve-[012].log | grep -c 'action=.*issue-ca' || true)
if [ "$issued" -ge 1 ]; then pass 'serve issued a new CA'; else fail 'serve issued a new CA'; fi
at_most 'once for each rotation' 2 "$issued"
down "${serve_pid[@]}"
finish
