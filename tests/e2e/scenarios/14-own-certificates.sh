# shellcheck shell=bash
# helms: 4
# Certificates of the webhook's own making: one Secret, the caBundle written into both
# configurations, put right again when somebody else breaks either; two replicas, one CA.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

if [ -n "${E2E_KUBECONFIG:-}" ]; then
    skip 'certificates of its own' 'another cluster calls by address, and these certificates bear names'
    exit 0
fi
export E2E_NO_BUNDLE=1
secret=$hook_name-tls
policy_text -- 'GHCR=ghcr.io=GitHub Container Registry' | policy_configmap >/dev/null
kubectl -n "$hook_namespace" delete secret "$secret" --ignore-not-found >/dev/null
hook_config Fail

bundles() { # every caBundle there is, each once
    kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration "$hook_name" -o json |
        jq -r '[.items[].webhooks[].clientConfig.caBundle // ""] | unique | join(",")'
}
written() { [[ "$(bundles)" =~ ^[A-Za-z0-9+/]+=*$ ]]; }
serial() { # of the certificate that is served
    openssl s_client -connect "$E2E_HOOK_IP:$E2E_HOOK_PORT" -servername "$hook_name.$hook_namespace.svc" \
        </dev/null 2>/dev/null | openssl x509 -noout -serial
}
verifies() { # the certificate that is served, against the caBundle
    bundles | base64 -d >"$E2E_TMP/bundle.pem"
    openssl s_client -connect "$E2E_HOOK_IP:$E2E_HOOK_PORT" -servername "$hook_name.$hook_namespace.svc" \
        -verify_hostname "$hook_name.$hook_namespace.svc" -CAfile "$E2E_TMP/bundle.pem" \
        -verify_return_error </dev/null
}

if ! hook_start_self; then
    skip 'certificates of its own' "$(tail -n 1 "$E2E_TMP/log/webhook.log" | cut -c1-160)"
    exit 0
fi
check 'it becomes ready by itself' wait_for 15 'readiness' hook_ready
check 'both configurations have one caBundle' written
check '  which verifies what is served, under the name of the Service' verifies
check 'the API server is content with it' wait_for 10 'the API server to call the webhook' hook_called
check 'an install is injected' api_install
check '  with the registry' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
same 'the private key is only in the Secret' 1 "$(kubectl get secrets -A -o json |
    jq '[.items[] | select([.data // {} | .[] | @base64d | contains("PRIVATE KEY")] | any)] | length')"

# ---- somebody else writes
before=$(bundles)
wrong=$(base64_line "$E2E_TMP/pki/hook-ca.crt")
break_bundles() {
    local kind
    for kind in mutatingwebhookconfiguration validatingwebhookconfiguration; do
        kubectl get "$kind" "$hook_name" -o json | jq --arg b "$wrong" '.webhooks | keys |
            map({op: "add", path: "/webhooks/\(.)/clientConfig/caBundle", value: $b})' |
            kubectl patch "$kind" "$hook_name" --type json --patch-file /dev/stdin >/dev/null
    done
}
break_bundles
as_before() { [ "$(bundles)" = "$before" ]; }
check "somebody else's caBundle is set right again" wait_for 20 'the caBundle' as_before
check '  and calls succeed' wait_for 10 'the API server to call the webhook' hook_called
hook_config Fail
check 'a caBundle taken away (as a manifest without one does) comes back' wait_for 20 'the caBundle' as_before

# ---- it may not: readiness tells the truth, and the rule that is missing is named
unready_for() { # TEXT: what readiness says is missing
    local said
    said=$(curl -sS --max-time 3 -w ' %{http_code}' "http://127.0.0.1:$E2E_HOOK_METRICS/readyz") && [[ $said == *"$1"*503 ]]
}
log_says() { tail -n 40 "$E2E_TMP/log/webhook.log" | grep -E "$1"; }
kubectl patch clusterrole "$hook_name-e2e" --type json \
    -p '[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch"]}]' >/dev/null
break_bundles
check 'without the right to write it: not ready' wait_for 15 'readiness to go' unready_for 'certificate: the webhook configurations do not hold its CA'
check '  the log names the rule' log_says 'needs the rule .*webhookconfigurations.*verbs: \[patch\]'
kubectl apply -f "$E2E_LIB/webhook-rbac.yaml" >/dev/null
check '  given back: set right by itself' wait_for 40 'the caBundle' as_before
check '  and ready' wait_for 10 'readiness' hook_ready
# Started without the right to read its Secret.
hook_stop
kubectl -n "$hook_namespace" patch role "$hook_name" --type json -p '[{"op": "remove", "path": "/rules/2"}]' >/dev/null
hook_start_self || true
check 'without the right to read its Secret: not ready' wait_for 5 'readiness to go' unready_for 'certificate: there is none yet'
check '  the log names the rule' wait_for 5 'the log line' log_says 'needs the rule .*resources: \[secrets\].*verbs: \[(get|list)\]'
kubectl apply -f "$E2E_LIB/webhook-rbac.yaml" >/dev/null
check '  given back: ready by itself' wait_for 40 'readiness' hook_ready
check '  with the bundle as it was' as_before

# ---- the Secret is lost: what is served stays served; a new one is made a minute after the
# last at the earliest, or at once by a process that serves nothing yet
kubectl -n "$hook_namespace" delete secret "$secret" >/dev/null
sleep 1
check 'with its Secret deleted it serves on' wait_for 20 'the API server to call the webhook' hook_called
check '  with a chain that verifies' verifies
hook_stop
check 'a restart without a Secret' hook_start_self
check '  is ready' wait_for 15 'readiness' hook_ready
check '  has a Secret again' kubectl -n "$hook_namespace" get secret "$secret"
check '  with a chain that verifies' wait_for 20 'the chain' verifies
check '  and is called' wait_for 20 'the API server to call the webhook' hook_called

# ---- restart, and a second replica
old=$(serial)
before=$(bundles)
hook_stop
check 'a restart with it' hook_start_self
check '  is ready' wait_for 15 'readiness' hook_ready
same '  with the same certificate' "$old" "$(serial)"
same '  and the same caBundle' "$before" "$(bundles)"
port=$(free_port)
metrics=$(free_port)
make_ca client-ca
make_ca other-ca
for ca in client-ca other-ca; do make_cert "$ca" "of-$ca" /CN=kube-apiserver; done
cp "$E2E_TMP/pki/client-ca.crt" "$E2E_TMP/client-ca.crt"
hook_start_cluster webhook-2 "127.0.0.1:$port" "$metrics" \
    --tls-secret "$hook_namespace/$secret" --webhook-config "$hook_name" \
    --dns-name "$hook_name.$hook_namespace.svc" --client-ca "$E2E_TMP/client-ca.crt"
check 'a second replica is ready' wait_for 15 'readiness' curl -fsS "http://127.0.0.1:$metrics/readyz"
sleep 2
same '  and leaves the caBundle alone' "$before" "$(bundles)"
same '  it serves the same certificate' "$(serial)" "$(openssl s_client -connect "127.0.0.1:$port" \
    </dev/null 2>/dev/null | openssl x509 -noout -serial)"
as_client() { # CA: who shows a certificate of it is served
    curl -fsS --max-time 3 --insecure --cert "$E2E_TMP/pki/of-$1.crt" --key "$E2E_TMP/pki/of-$1.key" \
        "https://127.0.0.1:$port/healthz"
}
refused() { ! as_client "$1"; }
check '  it demands a client certificate of --client-ca' as_client client-ca
check '    and of no other CA' refused other-ca
cp "$E2E_TMP/pki/other-ca.crt" "$E2E_TMP/client-ca.crt"
check '    another --client-ca is taken into use' wait_for 10 'the other CA' as_client other-ca
check '    and the first no more' refused client-ca
same '    beside the same certificate' "$(serial)" "$(openssl s_client -connect "127.0.0.1:$port" \
    </dev/null 2>/dev/null | openssl x509 -noout -serial)"
check '    it stays ready' curl -fsS "http://127.0.0.1:$metrics/readyz"
end_pid "$(cat "$E2E_TMP/webhook-2.pid")"
policy_gone
kubectl -n "$hook_namespace" delete secret "$secret" --ignore-not-found >/dev/null
