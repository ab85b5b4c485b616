#!/usr/bin/env bash
# What the server answers, over real TLS: the paths, every wrong request, the versions of TLS,
# client certificates. Every refusal is one line of JSON, and the server lives on.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

recorded=$root/tests/e2e/recorded
review=$recorded/helm3-install.02-mutate-CREATE-Deployment.json
start_server --log-level debug --drain-seconds 0

# error NAME STATUS: what `request` got is this status with a one-line JSON error
error() {
    is "$1: status" "$2" "$STATUS"
    like "$1: one line of JSON" '^[0-9]+$' "$(jq -r 'select(.error | length > 5) | 1' "$BODY" 2>&1)"
    is "$1: one line" 1 "$(wc -l <"$BODY" | tr -d ' ')"
}

# --- what is right ----------------------------------------------------------------------
for path in healthz readyz metrics version; do
    get "/$path"
    is "GET /$path" 200 "$STATUS"
    is "GET /$path, plain" 200 "$(curl -sS -o "$WORK/plain" -w '%{http_code}' "$METRICS_URL/$path")"
done
is "version is JSON" true "$(curl -sS "$METRICS_URL/version" | jq 'has("version") and has("commit") and .libraries.openssl != null')"
is "HEAD /healthz" 200 "$(curl -sS -I -o "$WORK/plain" -w '%{http_code}' "$METRICS_URL/healthz")"

post /mutate "$review"
is "mutate" 200 "$STATUS"
is "mutate: uid" "$(jq -r .request.uid "$review")" "$(json .response.uid)"
is "mutate: allowed" true "$(json .response.allowed)"
is "mutate: patch" true "$(json '.response.patch | @base64d | fromjson | length > 0')"
like "mutate: content type" '^[Cc]ontent-[Tt]ype: application/json' "$(cat "$WORK/headers")"
# Nobody looks at ConfigMaps here; the advice is for who runs the server, and not cut off.
like "mutate: a ConfigMap that cannot be seen" \
    '^OpaqueSource .* not looked at here\. Instead: serve with --policy-configmap or --kubeconfig, or set opaqueSources: Allow$' \
    "$(json '.response.warnings[]')"
post '/mutate?timeout=3s&x=y' "$review"
is "query is passed over" 200 "$STATUS"
post /validate "$review"
is "validate: what is missing is denied" false "$(json .response.allowed)"
is "validate: code" 403 "$(json .response.status.code)"
post /mutate "$review" -H 'Transfer-Encoding: chunked'
is "chunked body" 200 "$STATUS"
request POST /mutate -H 'Content-Type: application/json; charset=utf-8' --data-binary "@$review"
is "content type with a parameter" 200 "$STATUS"
post /mutate "$review" -H 'Expect: 100-continue'
is "Expect: 100-continue" 200 "$STATUS"
request GET /healthz -H 'Expect: 100-continue'
is "Expect: 100-continue, and no body" 200 "$STATUS"
like "the log names the object and not what is in it" \
    '"endpoint":"mutate".*"namespace":"nvcf","name":"api-helm-nvcf-api","operation":"CREATE"' "$(cat "$SERVER_LOG")"
unlike "no value of a variable in the log" 'us-west-2' "$(cat "$SERVER_LOG")"

# --- every decision is counted under its own word --------------------------------------------
of() { jq -c "$2" "$review" >"$WORK/$1.json" && post /mutate "$WORK/$1.json"; } # WORD FILTER
takeover='.request.object.spec.template.spec.containers[0].env +=
    [{name: "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME", value: "mirror.corp.example"}]'
of deny "$takeover"
of ratchet "$takeover | .request.operation = \"UPDATE\" | .request.oldObject = .request.object"
is "what was there before is no denial" true "$(json .response.allowed)"
of skip '.request.operation = "DELETE"'
counted() { # WORD OPERATION
    metric "nvcf_registry_webhook_admission_requests_total{endpoint=\"mutate\",kind=\"Deployment\",operation=\"$2\",decision=\"$1\",dry_run=\"false\"}"
}
is "deny is counted" 1 "$(counted deny CREATE || true)"
is "ratchet is counted" 1 "$(counted ratchet UPDATE || true)"
is "skip is counted" 1 "$(counted skip DELETE || true)"
unlike "and none as another" 'decision="other"' "$(curl -fsS "$METRICS_URL/metrics")"

# --- what is wrong ----------------------------------------------------------------------
get /nothing
error "unknown path" 404
like "what is served, and where" '^\{"error":"not found: POST /mutate and /validate by HTTPS only, GET /healthz' "$(cat "$BODY")"
post /mutate/ "$review"
error "trailing slash" 404
get "/$(printf 'a%.0s' {1..3000})"
error "long path" 404
for method in GET PUT DELETE PATCH OPTIONS; do
    request "$method" /mutate
    error "$method /mutate" 405
    like "$method /mutate: Allow" '^[Aa]llow: POST' "$(cat "$WORK/headers")"
done
post /readyz "$review"
error "POST /readyz" 405
like "POST /readyz: Allow" '^[Aa]llow: GET, HEAD' "$(cat "$WORK/headers")"
request POST /mutate -H 'Content-Type: application/json'
error "no length" 411
request POST /mutate -H 'Content-Type: text/plain' --data-binary "@$review"
error "text/plain" 415
request POST /mutate -H 'Content-Type:' --data-binary "@$review"
error "no content type" 415
head -c 8388609 /dev/zero | tr '\0' ' ' >"$WORK/large"
post /mutate "$WORK/large" -H 'Expect:'
error "8 MiB and a byte" 413
post /mutate "$WORK/large" -H 'Expect:' -H 'Transfer-Encoding: chunked'
error "8 MiB and a byte, chunked" 413
head -c 8388608 "$WORK/large" >"$WORK/full"
post /mutate "$WORK/full" -H 'Expect:'
error "8 MiB of blanks" 400

# As large as an API server can make one: object and oldObject of 3 MiB each.
head -c 3100000 /dev/zero | tr '\0' x >"$WORK/three"
jq -c --rawfile big "$WORK/three" '.request.object.metadata.annotations.big = $big | .request.oldObject = .request.object' \
    "$review" >"$WORK/both"
isnt "two objects of 3 MB are more than 6 MB" 0 $(($(stat -c %s "$WORK/both") > 6000000))
post /mutate "$WORK/both"
is "two objects of 3 MB: status" 200 "$STATUS"
is "two objects of 3 MB: a patch" true "$(json '.response.patch | @base64d | fromjson | length > 0')"

wrong() { # NAME TEXT: a body that is no review
    printf '%s' "$2" >"$WORK/wrong"
    post /mutate "$WORK/wrong"
    error "$1" 400
}
wrong "empty body" ''
wrong "not JSON" 'hello'
wrong "cut off" "$(head -c 2000 "$review")"
wrong "trailing bytes" '{"a":1} x'
wrong "an array" '[]'
wrong "no review" '{"kind":"Pod","apiVersion":"v1"}'
wrong "v1beta1" "$(jq -c '.apiVersion = "admission.k8s.io/v1beta1"' "$review")"
wrong "no request" '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}'
wrong "no uid" "$(jq -c 'del(.request.uid)' "$review")"
head -c 100000 /dev/zero | tr '\0' '[' >"$WORK/deep"
post /mutate "$WORK/deep"
error "100,000 levels deep" 400
printf '{"kind":"AdmissionReview\xff"}' >"$WORK/utf8"
post /mutate "$WORK/utf8"
error "not UTF-8" 400

is "no admission on the plain port" 404 \
    "$(curl -sS -o "$WORK/plain" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$review" "$METRICS_URL/mutate")"
is "no POST on the plain port" 405 "$(curl -sS -o "$WORK/plain" -w '%{http_code}' -d x "$METRICS_URL/healthz")"

# --- raw bytes --------------------------------------------------------------------------
# tls TEXT: sends it in a TLS connection, prints what comes back until the end of the connection
tls() {
    { printf '%b' "$1"; } | timeout 10 openssl s_client -quiet -connect "127.0.0.1:$PORT" \
        -CAfile "$CERTS/ca.crt" -servername localhost 2>/dev/null || true
}
raw() { # NAME STATUS TEXT
    local answer
    answer=$(tls "$3")
    like "$1" "^HTTP/1\\.1 $2 " "$(head -1 <<<"$answer")"
    like "$1: JSON" '^\{"error":"[^"]+"\}$' "$(tail -1 <<<"$answer")"
}
raw "no HTTP" 400 'hello\r\n\r\n'
raw "no HTTP version" 400 'GET /healthz\r\n\r\n'
raw "two lengths" 400 'POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'
raw "length and chunks" 400 'POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
raw "length is no number" '(400|413)' 'POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 2x\r\n\r\n{}'
raw "headers without end" '(413|431)' "GET /healthz HTTP/1.1\r\nHost: a\r\nX: $(head -c 200000 /dev/zero | tr '\0' a)\r\n\r\n"
both=$(tls 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
is "two requests in one write" 2 "$(grep -c '^HTTP/1.1 200' <<<"$both")"
like "plain HTTP on the TLS port is told so" '^\{"error":".*TLS"\}$' \
    "$(curl -sS --max-time 5 "http://127.0.0.1:$PORT/healthz" 2>&1 || true)"
head -c 3000 /dev/urandom | timeout 5 bash -c "cat >/dev/tcp/127.0.0.1/$PORT" 2>/dev/null || true
get /healthz
is "alive after all that" 200 "$STATUS"
until_ok 30 metric 'nvcf_registry_webhook_http_errors_total{code="413"}' || true
for code in 400 404 405 411 413 415; do
    isnt "errors are counted: $code" '' "$(metric "nvcf_registry_webhook_http_errors_total{code=\"$code\"}" || true)"
done
if command -v promtool >/dev/null; then
    ok "promtool check metrics" promtool check metrics < <(curl -fsS "$METRICS_URL/metrics")
else
    skip "promtool check metrics" "promtool is not installed"
fi

# --- TLS --------------------------------------------------------------------------------
handshake() { # OPTION…
    openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$CERTS/ca.crt" -servername localhost \
        -verify_hostname localhost -verify_return_error "$@" </dev/null 2>&1 || true
}
like "TLS 1.3" 'New, TLSv1.3, Cipher is TLS_' "$(handshake -tls1_3)"
like "TLS 1.2" 'New, TLSv1.2, Cipher is ECDHE-' "$(handshake -tls1_2)"
unlike "no TLS 1.1" 'Cipher is [A-Z]+-' "$(handshake -tls1_1 -cipher 'ALL:@SECLEVEL=0')"
unlike "no TLS 1.2 without forward secrecy" 'Cipher is [A-Z]+[0-9]*-' "$(handshake -tls1_2 -cipher AES128-GCM-SHA256)"
like "http/1.1 by ALPN" 'ALPN protocol: http/1.1' "$(handshake -alpn h2,http/1.1)"
like "handshakes are counted" '^[1-9]' "$(metric 'nvcf_registry_webhook_tls_handshakes_total{result="failure"}')"
stop_server

# --- client certificates ----------------------------------------------------------------
make_ca "$WORK/clients"
make_cert "$WORK/clients" kube-apiserver DNS:kube-apiserver
make_cert "$WORK/clients" someone DNS:someone
make_ca "$WORK/others"
make_cert "$WORK/others" kube-apiserver DNS:kube-apiserver
start_server --client-ca "$WORK/clients/ca.crt" --client-name kube-apiserver --client-name front-proxy --drain-seconds 0
as() { # DIR NAME
    post /mutate "$review" --cert "$1/$2.crt" --key "$1/$2.key"
}
as "$WORK/clients" kube-apiserver
is "the right client" 200 "$STATUS"
post /mutate "$review"
is "no client certificate" 000 "$STATUS"
as "$WORK/clients" someone
is "another name" 000 "$STATUS"
as "$WORK/others" kube-apiserver
is "another CA" 000 "$STATUS"
special() { # NAME OPTION… -- EXTENSIONS: a certificate of the right CA for the right name
    local name=$1
    shift
    openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/clients/$name.key" 2>/dev/null
    openssl req -new -key "$WORK/clients/$name.key" -subj /CN=kube-apiserver 2>/dev/null |
        openssl x509 -req -CA "$WORK/clients/ca.crt" -CAkey "$WORK/clients/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
            -out "$WORK/clients/$name.crt" "$@" 2>/dev/null
}
special client-only -days 1 -extfile <(echo extendedKeyUsage=clientAuth)
as "$WORK/clients" client-only
is "(a client's certificate by CN)" 200 "$STATUS"
special server-only -days 1 -extfile <(echo extendedKeyUsage=serverAuth)
as "$WORK/clients" server-only
is "a server's certificate" 000 "$STATUS"
special expired -days -1 || true
if [ -s "$WORK/clients/expired.crt" ]; then
    as "$WORK/clients" expired
    is "an expired one" 000 "$STATUS"
else
    skip "an expired client certificate" "this openssl issues none"
fi
openssl req -x509 -key "$WORK/clients/someone.key" -days 1 -subj /CN=kube-apiserver -out "$WORK/clients/own.crt" 2>/dev/null
cp "$WORK/clients/someone.key" "$WORK/clients/own.key"
as "$WORK/clients" own
is "one of its own making" 000 "$STATUS"
resumed=$({ printf 'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'; sleep 0.3; } | openssl s_client -connect "127.0.0.1:$PORT" -quiet \
    -cert "$WORK/clients/kube-apiserver.crt" -key "$WORK/clients/kube-apiserver.key" -sess_out "$WORK/session" 2>/dev/null) || true
like "(the right client, by hand)" '^HTTP/1.1 200' "$resumed"
resumed=$({ printf 'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'; sleep 0.3; } | openssl s_client -connect "127.0.0.1:$PORT" -quiet \
    -sess_in "$WORK/session" 2>/dev/null) || true
unlike "its session, without its certificate" 'HTTP/1.1' "$resumed"
is "nor a decision by the plain port" 404 "$(curl -sS -o "$WORK/plain" -w '%{http_code}' --data-binary "@$review" "$METRICS_URL/mutate")"
is "probes need none" 200 "$(curl -sS -o "$WORK/plain" -w '%{http_code}' "$METRICS_URL/readyz")"
stop_server
finish
