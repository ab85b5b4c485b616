#!/usr/bin/env bash
# `status` against a real API server: what it says of Deployments, pods, policy,
# certificates and of the running NVCF API, which a small HTTP server with the documented
# answer plays. Nobody runs the controllers here, so pods are written by hand.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/support/cluster.sh"
cluster_or_skip 'status against a real API server'

status() { # FLAG…: output in $BODY, exit code in $CODE
    CODE=0
    "$NRW_BIN" status --kubeconfig "$admin" "$@" >"$BODY" 2>"$LOGS/status.err.log" || CODE=$?
}
says() { like "$1" "$2" "$(cat "$BODY")"; }
row() { # KEY -> the cells of its row, blanks squeezed
    sed -nE "s/ +/ /g; s/^ ($1 .*)/\1/p" "$BODY"
}

for ns in nvcf nvcf-registry-webhook; do kubectl create namespace "$ns" >/dev/null; done

# --- nothing is installed ---------------------------------------------------------------------
status
is 'an empty cluster is not good' 1 "$CODE"
says 'there is no policy' 'bad +policy +there is no ConfigMap nvcf-registry-webhook/nvcf-registry-policy'
says 'nor a configuration' 'bad +mutating +there is no configuration nvcf-registry-webhook'
says 'nor a target' 'unknown +target +no Deployment in namespace nvcf has the labels'
status --kubeconfig /nowhere
is 'a cluster that cannot be looked at is trouble' 2 "$CODE"
is 'said in one line' 1 "$(wc -l <"$LOGS/status.err.log")"
sed 's|server: .*|server: https://127.0.0.1:1|' "$admin" >"$WORK/away.kubeconfig"
status --kubeconfig "$WORK/away.kubeconfig"
is 'one that does not answer is too' 2 "$CODE"
is 'a wrong name is usage' 2 "$(status --policy-configmap nonsense; echo "$CODE")"
is 'a token without an address is usage' 2 "$(status --token-file x; echo "$CODE")"

# --- the API as the guide installs it: Helm values, no webhook yet -------------------------------
make_policy "$POLICY"
kubectl -n nvcf-registry-webhook create configmap nvcf-registry-policy --from-file=policy.yaml="$POLICY" >/dev/null
manifests=$root/tests/e2e/charts/rendered/selfmanaged-ghcr.yaml
kubectl apply -f "$manifests" >/dev/null
pods() { # writes two running pods from the Deployment's template
    local i
    kubectl -n nvcf delete pod --all --now >/dev/null 2>&1 || true
    for i in 1 2; do
        kubectl -n nvcf get deployment nvcf-api -o json | jq --arg n "nvcf-api-$RANDOM-$i" '.spec.template |
            {apiVersion: "v1", kind: "Pod", metadata: {name: $n, namespace: "nvcf", labels: .metadata.labels},
             spec: (.spec + {automountServiceAccountToken: false})}' | kubectl apply -f - >/dev/null
    done
    for i in $(kubectl -n nvcf get pods -o name); do
        kubectl -n nvcf patch "$i" --subresource=status -p \
            "{\"status\":{\"phase\":\"Running\",\"startTime\":\"$(date -u -d "${1:-now}" +%Y-%m-%dT%H:%M:%SZ)\"}}" >/dev/null
    done
}
pods '+1 minute'
status
is 'a listed registry that is missing is drift' 1 "$CODE"
says 'the policy is valid' 'good +policy +ConfigMap nvcf-registry-webhook/nvcf-registry-policy is valid: Inject, Enforce, 2 registries'
says 'the Deployment is named' '^Deployment nvcf/nvcf-api \(NVCF\): drift'
is 'what Helm sets is said to be so' 'GHCR ghcr.io Helm values (nvcf-api-env) yes 2/2 -' "$(row GHCR)"
is 'what is missing has no source' 'INTERNAL registry.corp.example - no 0/2 -' "$(row INTERNAL)"
says 'the next update is announced' '\+ NVCF_REGISTRIES_RECOGNIZED_CONTAINER_INTERNAL_HOSTNAME=registry.corp.example'

# --- as the webhook would leave it ---------------------------------------------------------------
"$NRW_BIN" review -p "$POLICY" -o patched "$manifests" 2>/dev/null | kubectl apply -f - >/dev/null
status
is 'old pods are drift' 1 "$CODE"
is 'and are counted' 'INTERNAL registry.corp.example policy yes 0/2 -' "$(row INTERNAL)"
pods '+1 minute'

# certificates and configurations, ours by the names of the chart
make_ca hook-ca
make_cert hook-ca hook /CN=hook DNS:nvcf-registry-webhook.nvcf-registry-webhook.svc
kubectl -n nvcf-registry-webhook create secret tls nvcf-registry-webhook-tls \
    --cert="$E2E_TMP/pki/hook.crt" --key="$E2E_TMP/pki/hook.key" >/dev/null
configuration() { # KIND CA
    kubectl apply -f - >/dev/null <<END
apiVersion: admissionregistration.k8s.io/v1
kind: $1
metadata: {name: nvcf-registry-webhook}
webhooks:
- name: a.nvcf-registry-webhook.dev
  clientConfig:
    service: {name: nvcf-registry-webhook, namespace: nvcf-registry-webhook, path: /x}
    caBundle: $(base64_line "$E2E_TMP/pki/$2.crt")
  rules: [{apiGroups: [none.invalid], apiVersions: [v1], operations: [CREATE], resources: [nothing]}]
  admissionReviewVersions: [v1]
  sideEffects: None
END
}
configuration MutatingWebhookConfiguration hook-ca
configuration ValidatingWebhookConfiguration hook-ca
status
is 'all as the policy says is good' 0 "$CODE"
says 'it says so' '^Deployment nvcf/nvcf-api \(NVCF\): as the policy says'
is 'injected ones come from the policy' 'INTERNAL registry.corp.example policy yes 2/2 -' "$(row INTERNAL)"
is 'also where Helm sets the same' 'GHCR ghcr.io policy yes 2/2 -' "$(row GHCR)"
says 'the certificate verifies' 'good +certificate +Secret nvcf-registry-webhook/nvcf-registry-webhook-tls: an API server accepts it as nvcf-registry-webhook.nvcf-registry-webhook.svc; expires .*\([0-9]+ days\)'
says 'the caBundle is shown' 'good +caBundle +1 certificate, the last expires'
says 'what cannot be asked is unknown, not bad' 'unknown +ready'
status -o json
is 'json says the same' true "$(json .good)"
is 'json has the registries' 'GHCR:policy:yes:2 INTERNAL:policy:yes:2' \
    "$(json '[.targets[0].registries[] | "\(.key):\(.source):\(.deployment):\(.pods)"] | join(" ")')"
is 'and null where the API was not asked' null "$(json '.targets[0].registries[0].api')"
ln -s "$NRW_BIN" "$WORK/kubectl-nvcf_registry"
is 'it works as a kubectl plugin' true \
    "$(PATH=$WORK:$PATH kubectl nvcf-registry status -o json | jq .good)"

# --- what can be wrong ---------------------------------------------------------------------------
make_ca another-ca
configuration ValidatingWebhookConfiguration another-ca
status
is 'another caBundle is not good' 1 "$CODE"
says 'and is named' 'bad +validating +1 webhooks?, 0 without a caBundle, 1 with another one'
configuration MutatingWebhookConfiguration another-ca
status
says 'a certificate that the caBundle does not verify is bad' 'bad +certificate .*does not accept it'
configuration MutatingWebhookConfiguration hook-ca
configuration ValidatingWebhookConfiguration hook-ca

kubectl -n nvcf patch configmap nvcf-api-env -p \
    '{"data":{"NVCF_REGISTRIES_RECOGNIZED_CONTAINER_QUAY_NAME":"Quay","NVCF_REGISTRIES_RECOGNIZED_CONTAINER_QUAY_HOSTNAME":"quay.io"}}' >/dev/null
pods '-1 hour'
status
is 'an unlisted one is shown, its pods with a doubt' 'QUAY quay.io Helm values (nvcf-api-env), not listed yes 2/2? -' "$(row QUAY)"
says 'and warned about' 'warning: UnlistedRegistry'
is 'which is no drift' 0 "$CODE"
kubectl -n nvcf patch configmap nvcf-api-remote-config --type merge -p \
    '{"data":{"nvcf-api.yaml":"nvcf:\n  registries:\n    recognized:\n      container:\n        ghcr:\n          hostname: other.example\n"}}' >/dev/null
status
is 'a remote config that overrides is drift' 1 "$CODE"
is 'and is named as the source' 'GHCR ghcr.io remote config (nvcf-api-remote-config) with other.example 0/2 -' "$(row GHCR)"
kubectl apply -f "$manifests" >/dev/null 2>&1
"$NRW_BIN" review -p "$POLICY" -o patched "$manifests" 2>/dev/null | kubectl apply -f - >/dev/null
kubectl -n nvcf-registry-webhook create configmap nvcf-registry-policy -o yaml --dry-run=client \
    --from-literal=policy.yaml='mode: Nonsense' | kubectl apply -f - >/dev/null 2>&1
status
says 'an invalid policy is bad, with its place' 'bad +policy .*is not valid: line 1'
is 'and not good' 1 "$CODE"
status --policy-file "$POLICY"
says 'a file can be compared with instead' "good +policy +$POLICY is valid"
kubectl -n nvcf create serviceaccount reader >/dev/null
sed -E "s|client-certificate-data: .*|token: $(kubectl -n nvcf create token reader)|; /client-key-data/d" "$admin" >"$WORK/reader.kubeconfig"
status --kubeconfig "$WORK/reader.kubeconfig"
is 'without rights it is trouble' 2 "$CODE"
like 'and the missing rule is named' 'resourceNames: \[nvcf-registry-policy\], verbs: \[get\]' "$(cat "$LOGS/status.err.log")"

# --- what the running API says ---------------------------------------------------------------------
if ! command -v python3 >/dev/null; then
    skip 'the running API' 'no python3 to play it'
    finish
fi
api_port=$(free_port)
cat >"$WORK/nvcf.py" <<'END'
import http.server, json, sys
class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.headers.get("Authorization") == "Bearer the-token"
        body = {"recognizedRegistries": {
            "CONTAINER": [{"name": "Docker Hub Registry", "hostname": "docker.io"},
                          {"name": "GitHub Container Registry", "hostname": "ghcr.io"},
                          {"name": "Someone else", "hostname": "registry.corp.example"}],
            "HELM": [], "MODEL": [], "RESOURCE": []}}
        found = self.path == "/v2/nvcf/recognized-registries"
        self.send_response(200 if good and found else 401 if not good else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body if good and found else {}).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
END
background nvcf python3 "$WORK/nvcf.py" "$api_port"
wait_for 10 'the small server' bash -c "exec 3<>/dev/tcp/127.0.0.1/$api_port"
echo the-token >"$WORK/token"
status --policy-file "$POLICY" --nvcf-url "http://127.0.0.1:$api_port/" --token-file "$WORK/token"
says 'the API is asked' 'good +api +recognises 3 container registries'
like 'a registry it lists' 'GHCR .* yes$' "$(row GHCR)"
like 'one under another name' 'INTERNAL .* other name$' "$(row INTERNAL)"
is 'which is drift' 1 "$CODE"
echo another >"$WORK/token"
status --policy-file "$POLICY" --nvcf-url "http://127.0.0.1:$api_port" --token-file "$WORK/token"
says 'a token that is refused leads to unknown' 'unknown +api .*HTTP 401: give --token-file'
status --policy-file "$POLICY" --nvcf-url "http://127.0.0.1:$api_port/prefix" --token-file "$WORK/token" -o json
unlike 'the token is nowhere' 'another|the-token' "$(cat "$BODY" "$LOGS/status.err.log")"
status --policy-file "$POLICY" --nvcf-url "http://127.0.0.1:1"
says 'an API that is away is unknown' 'unknown +api .*(refused|connect)'
finish
