#!/usr/bin/env bash
# How `serve` starts and how it refuses to: flags, the environment, files that are not good.
# Every refusal is one line on standard error that says what to do.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

make_policy "$POLICY"
make_cert "$CERTS" tls
make_cert "$CERTS" other
good=(--listen 127.0.0.1:0 --metrics-listen none --policy-file "$POLICY"
    --tls-cert "$CERTS/tls.crt" --tls-key "$CERTS/tls.key")

# refused NAME CODE REGEX FLAG…
refused() {
    local name=$1 code=$2 regex=$3
    shift 3
    exits "$name: exit code" "$code" timeout 10 "$NRW_BIN" serve "$@"
    like "$name: says why" "$regex" "$(tail -1 "$BODY")"
    if [ "$code" -eq 2 ] && [ -z "${logs:-}" ]; then is "$name: one line" 1 "$(wc -l <"$BODY" | tr -d ' ')"; fi
}
refused "nothing given" 2 'no policy: give --policy-file.*no certificate: give --tls-cert'
refused "no policy" 2 'no policy: give' --tls-cert "$CERTS/tls.crt" --tls-key "$CERTS/tls.key"
refused "no certificate" 2 'no certificate: give' --policy-file "$POLICY"
refused "no key" 2 'tls-cert needs --tls-key' --policy-file "$POLICY" --tls-cert "$CERTS/tls.crt"
refused "unknown flag" 2 'did you mean --policy-file' --polcy-file x
refused "a word" 2 'unexpected argument x' "${good[@]}" x
refused "no value" 2 'needs a value' --listen
refused "listen without a port" 2 'ADDRESS:PORT' "${good[@]}" --listen localhost
refused "port 65536" 2 'ADDRESS:PORT' "${good[@]}" --listen 127.0.0.1:65536
refused "threads 0" 2 'whole number from 1 to 64' "${good[@]}" --threads 0
refused "threads 3x" 2 'whole number' "${good[@]}" --threads 3x
refused "threads -1" 2 'whole number' "${good[@]}" --threads -1
refused "drain-seconds" 2 'whole number from 0' "${good[@]}" --drain-seconds 1.5
refused "log-level" 2 'did you mean|use one of' "${good[@]}" --log-level wran
refused "log-format" 2 'json, text' "${good[@]}" --log-format xml
refused "standard input" 2 'cannot be read again' "${good[@]}" --policy-file -
refused "an empty file name" 2 'policy-file has an empty value: --policy-file FILE' --policy-file ''
refused "two listeners on one address" 2 'both 127.0.0.1:8443: give two ports' "${good[@]}" --listen 127.0.0.1:8443 --metrics-listen 127.0.0.1:8443
refused "client-name alone" 2 'client-name needs --client-ca' "${good[@]}" --client-name a
refused "two policies" 2 'give one of them' "${good[@]}" --policy-configmap a/b
refused "two certificates" 2 'give one of them' "${good[@]}" --tls-secret a/b --dns-name a.svc
refused "webhook-config alone" 2 'webhook-config needs --tls-secret' "${good[@]}" --webhook-config a
refused "no NAMESPACE/NAME" 2 'NAMESPACE/NAME' --policy-configmap nvcf-registry-policy
refused "capitals in a name" 2 'NAMESPACE/NAME' --tls-secret Ns/name
refused "dns-name" 2 'not a DNS name' --tls-secret a/b --dns-name 'a b'

logs=1 # these have log lines before the last one
refused "listen on a name" 2 '--listen localhost:0: "localhost" is not an IP address' "${good[@]}" --listen localhost:0
refused "listen without brackets" 2 '--listen ::1: .*in brackets, such as \[::1\]:8443' "${good[@]}" --listen ::1
refused "an address that is not ours" 2 '--listen 192.0.2.1:0: .*[Cc]annot assign' "${good[@]}" --listen 192.0.2.1:0
refused "no such policy" 2 'cannot open .*absent.yaml: No such file' "${good[@]}" --policy-file "$WORK/absent.yaml"
printf 'apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nregistries:\n  DOCKER:\n    name: a\n    hostname: h.example\n  GHCR:\n    name: b\n    hostname: ghcr.io:5000\n' >"$WORK/bad.yaml"
refused "invalid policy" 1 'bad.yaml: line 4.*and [1-9][0-9]* more' "${good[@]}" --policy-file "$WORK/bad.yaml"
like "invalid policy: every finding, with its line" '"line":9' "$(cat "$BODY")"
refused "no such certificate" 2 'cannot open .*absent.crt' "${good[@]}" --tls-cert "$WORK/absent.crt"
refused "another's key" 1 'tls.crt, [^ ]*other.key: the private key' "${good[@]}" --tls-key "$CERTS/other.key"
echo 'not PEM' >"$WORK/junk"
refused "no certificate in it" 1 'tls|junk' "${good[@]}" --tls-cert "$WORK/junk"
openssl ec -in "$CERTS/tls.key" -aes128 -passout pass:secret -out "$WORK/locked.key" 2>/dev/null
refused "a key with a passphrase" 1 'passphrase|encrypted' "${good[@]}" --tls-key "$WORK/locked.key"
refused "client CA is junk" 1 'tls.crt, [^ ]*tls.key, [^ ]*junk: client CA' "${good[@]}" --client-ca "$WORK/junk"
: >"$WORK/empty"
refused "client CA is empty" 1 'empty: the client CA is empty' "${good[@]}" --client-ca "$WORK/empty"
refused "and where the certificate comes without it" 1 'client CA' --policy-file "$WORK/policy.yaml" --demo --client-ca "$WORK/empty"

exits "too few descriptors" 2 timeout 10 bash -c 'ulimit -n 8; exec "$@"' - "$NRW_BIN" serve "${good[@]}"
like "too few descriptors: says so" 'Too many open files' "$(tail -1 "$BODY")"
KUBERNETES_SERVICE_HOST=10.0.0.1 KUBERNETES_SERVICE_PORT='' refused "half a pod" 2 'not a pod .KUBERNETES_SERVICE_PORT is not set' \
    --demo --policy-configmap a/b

start_server --drain-seconds 0
refused "port in use" 2 "listen.*$PORT.*in use" "${good[@]}" --listen "127.0.0.1:$PORT"
refused "metrics port in use" 2 "metrics-listen.*in use" "${good[@]}" --metrics-listen "127.0.0.1:$METRICS_PORT"
stop_server
free_port
refused "one port for both, the addresses differ" 2 "metrics-listen 127.0.0.1:$REPLY: port $REPLY is in use already" \
    "${good[@]}" --listen "[::]:$REPLY" --metrics-listen "127.0.0.1:$REPLY"
logs=''

# --- the environment --------------------------------------------------------------------
exits "--help" 0 "$NRW_BIN" serve --help
like "--help names the variables" 'NVCF_REGISTRY_WEBHOOK_POLICY_FILE' "$(tr '\n' ' ' <"$BODY" | tr -d ' ')"
for flag in listen metrics-listen policy-file policy-configmap tls-cert tls-key tls-secret webhook-config \
    dns-name client-ca client-name kubeconfig reconcile threads log-level log-format drain-seconds seccomp demo; do
    grep -q -- "--$flag" "$BODY" || fail "--help names --$flag"
done
export NVCF_REGISTRY_WEBHOOK_THREADS=many
refused "a wrong variable is named" 2 'NVCF_REGISTRY_WEBHOOK_THREADS many: give a whole number' "${good[@]}"
exits "--help is there beside it" 0 "$NRW_BIN" serve --help
like "and is the help" '^Usage: ' "$(head -1 "$BODY")"
refused "a flag beats a wrong variable too" 2 'drain-seconds x: give a whole number' "${good[@]}" --threads 1 --drain-seconds x
export NVCF_REGISTRY_WEBHOOK_THREADS=1 NVCF_REGISTRY_WEBHOOK_DRAIN_SECONDS='' \
    NVCF_REGISTRY_WEBHOOK_LOG_FORMAT=text NVCF_REGISTRY_WEBHOOK_PORT=tcp://10.0.0.1:443 \
    NVCF_REGISTRY_WEBHOOK_CLIENT_NAME=a,b
refused "a list from the environment" 2 'NVCF_REGISTRY_WEBHOOK_CLIENT_NAME needs --client-ca' "${good[@]}"
NVCF_REGISTRY_WEBHOOK_POLICY_CONFIGMAP=a/b refused "what does not go together is named as it was given" 2 \
    '--policy-file and NVCF_REGISTRY_WEBHOOK_POLICY_CONFIGMAP: give one' "${good[@]}"
NVCF_REGISTRY_WEBHOOK_DNS_NAME=a,,b refused "an empty name in a list" 2 'DNS_NAME .*: a name is empty' "${good[@]}"
unset NVCF_REGISTRY_WEBHOOK_CLIENT_NAME
export NVCF_REGISTRY_WEBHOOK_POLICY_FILE=$POLICY NVCF_REGISTRY_WEBHOOK_TLS_CERT=$CERTS/tls.crt \
    NVCF_REGISTRY_WEBHOOK_TLS_KEY=$WORK/absent.key
start_server --policy-file "$POLICY" --tls-cert "$CERTS/tls.crt" --tls-key "$CERTS/tls.key" --log-format json --drain-seconds 0
like "flags beat the environment" '^\{"time"' "$(head -1 "$SERVER_LOG")"
like "the environment is read" '"threads":1,' "$(grep '"serving"' "$SERVER_LOG")"
stop_server
unset NVCF_REGISTRY_WEBHOOK_POLICY_FILE NVCF_REGISTRY_WEBHOOK_TLS_CERT NVCF_REGISTRY_WEBHOOK_TLS_KEY \
    NVCF_REGISTRY_WEBHOOK_LOG_FORMAT NVCF_REGISTRY_WEBHOOK_DRAIN_SECONDS
NVCF_REGISTRY_WEBHOOK_DEMO=true start_server --demo --drain-seconds 0
is "demo" 200 "$(curl -sk -o "$BODY" -w '%{http_code}' "https://localhost:$PORT/readyz")"
is "demo has the example policy" 3 "$(metric nvcf_registry_webhook_policy_registries)"
stop_server

"$NRW_BIN" serve --demo --listen 127.0.0.1:0 --metrics-listen none --drain-seconds 0 0<&- 1>&- 2>&- &
closed=$!
pids+=("$closed")
sleep 0.5
if [ "$(id -u)" = 0 ]; then # nobody else may look: the process keeps its keys to itself
    is "without standard descriptors they are /dev/null" "/dev/null /dev/null /dev/null" \
        "$(readlink "/proc/$closed/fd/0" "/proc/$closed/fd/1" "/proc/$closed/fd/2" | xargs)"
fi
kill "$closed"

# --- the program ------------------------------------------------------------------------
exits "no verb" 2 "$NRW_BIN"
exits "unknown verb" 2 "$NRW_BIN" srve
like "unknown verb: nearest" '^nvcf-registry-webhook: unknown verb srve; did you mean serve\?$' "$(cat "$BODY")"
exits "help" 0 "$NRW_BIN" help
exits "help of a verb" 0 "$NRW_BIN" help serve
exits "version" 0 "$NRW_BIN" version
like "version" '^nvcf-registry-webhook [0-9.]+ \(commit ' "$(head -1 "$BODY")"
exits "version as JSON" 0 "$NRW_BIN" version -o json
is "version as JSON: readable" true "$(json 'has("commit")')"
ln -s "$NRW_BIN" "$WORK/kubectl-nvcf_registry"
exits "as a kubectl plugin" 0 "$WORK/kubectl-nvcf_registry" help serve
like "the plugin's name" '^Usage: kubectl nvcf-registry serve' "$(head -1 "$BODY")"
unlike "and no other" 'nvcf-registry-webhook serve' "$(cat "$BODY")"
finish
