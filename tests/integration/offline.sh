#!/usr/bin/env bash
# `review`, `lint` and `explain` with input that is odd: missing, empty, a folder, binary, in other
# encodings, too large, bombs; and with output that nobody takes. What cannot be looked at is exit code 2
# and one line on standard error, never consent.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

make_policy "$POLICY"
manifest=$root/tests/e2e/charts/rendered/api-ghcr.yaml
cd "$WORK"

# refused NAME REGEX COMMAND… : exit code 2, one line on standard error, nothing on standard output
refused() {
    local name=$1 regex=$2 rc=0
    shift 2
    "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
    is "$name: exit code" 2 "$rc"
    like "$name: says why" "$regex" "$(cat "$WORK/err")"
    is "$name: one line, and no other output" '1 0' "$(wc -l <"$WORK/err") $(wc -c <"$WORK/out")"
}
review() { "$NRW_BIN" review -p "$POLICY" "$@"; }
lint() { "$NRW_BIN" lint "$@"; }
explain() { "$NRW_BIN" explain "$@"; }
from() { "${@:2}" <"$1"; } # FILE COMMAND…
closed_input() { "$@" <&-; }
closed_output() { "$@" >&-; }
full_disk() { "$@" >/dev/full; }

# --- nothing there ------------------------------------------------------------------------
: >empty
printf -- '---\n# nothing but a comment\n...\n' >comment
for verb in review lint; do
    refused "$verb: no such file" 'cannot open absent: No such file' "$verb" absent
    refused "$verb: a folder" 'Is a directory' "$verb" .
    refused "$verb: standard input is closed" 'cannot read standard input' closed_input "$verb" -
done
refused "review: an empty pipe is no consent" 'nothing to review' from empty review
refused "review: the same for a file" 'nothing to review' review empty
refused "review: the same as a post-renderer" 'nothing to review' from empty review -o patched -
refused "review: a comment is nothing" 'nothing to review' review comment
exits "review: an empty beside a good one" 0 review empty "$manifest"
printf 'apiVersion: v1\nkind: List\nitems: []\n' >list
exits "review: an empty List is something, of which nothing is a target" 0 review list
like "review: and it says so" 'no Deployment or ConfigMap here is a target' "$(cat "$BODY")"
exits "lint: empty is not valid" 1 from empty lint
like "lint: and it says so" '^<stdin>:1:1: error: InvalidPolicy: the policy is empty' "$(cat "$BODY")"
refused "review: no such policy" 'cannot open absent: No such file' "$NRW_BIN" review -p absent "$manifest"
refused "explain: no such policy" 'cannot open absent: No such file' explain -p absent A=b
refused "explain: no variable" 'no variable given' explain
refused "explain: a value without a name" 'has no variable' explain =x
g=NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR
refused "explain: which of two values counts cannot be told" "${g}_HOSTNAME is given twice" \
    explain "${g}_NAME=GitHub" "${g}_HOSTNAME=ghcr.io" "${g}_HOSTNAME=docker.io"
refused "explain: nor with one that is not given" 'A is given twice' explain A B=c A=b
cat >away.kubeconfig <<'END'
apiVersion: v1
kind: Config
current-context: away
contexts: [{name: away, context: {cluster: away, user: nobody}}]
clusters: [{name: away, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: nobody, user: {token: none}}]
END
refused "status: no such policy" 'cannot open absent: No such file' \
    "$NRW_BIN" status --kubeconfig away.kubeconfig --policy-file absent
refused "status: a CA for an API that is not asked" 'nvcf-ca needs --nvcf-url' \
    "$NRW_BIN" status --kubeconfig away.kubeconfig --nvcf-ca absent
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
chmod 755 "$WORK" # for nobody, who may look at all but a home that is closed
if [ "$(id -u)" = 0 ] && nobody "$NRW_BIN" version >/dev/null 2>&1 && nobody test -r "$POLICY"; then
    mkdir -m 700 home
    mkdir home/.kube
    cp away.kubeconfig home/.kube/config
    refused "status: a home that is closed to us" 'cannot open .*home/.kube/config: Permission denied' \
        nobody env -i HOME="$WORK/home" "$NRW_BIN" status
else
    skip "status: a home that is closed to us" "needs root, setpriv, and a program that others may run"
fi
# Nobody can type a passphrase: whoever asks for one waits, or crashes.
make_cert "$CERTS" client
openssl ec -in "$CERTS/client.key" -aes128 -passout pass:secret -out locked.key 2>/dev/null
openssl pkcs8 -topk8 -in "$CERTS/client.key" -passout pass:secret -out locked8.key
sed '2i Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n' "$CERTS/client.crt" >locked.crt
client() { # SERVER CERTIFICATE KEY: status with them
    sed -e "s|server: .*}}|server: '$1', certificate-authority: $CERTS/ca.crt}}|" \
        -e "s|token: none|client-certificate: $2, client-key: $3|" away.kubeconfig >client.kubeconfig
    timeout 10 "$NRW_BIN" status --kubeconfig client.kubeconfig
}
refused "status: a key with a passphrase" 'locked.key: the client key has a passphrase' client https://127.0.0.1:1 "$CERTS/client.crt" locked.key
refused "status: the same as PKCS#8" 'locked8.key: the client key has a passphrase' client https://127.0.0.1:1 "$CERTS/client.crt" locked8.key
refused "status: a certificate with one" 'locked.crt: the client certificate has a passphrase' client https://127.0.0.1:1 locked.crt "$CERTS/client.key"
start_server --drain-seconds 0
refused "status: another's key" "https://localhost:$PORT: the client certificate or its key is damaged, or the two do not belong together" \
    client "https://localhost:$PORT" "$CERTS/client.crt" "$CERTS/tls.key"
stop_server
exits "certs: a certificate" 0 "$NRW_BIN" certs issue --dns-name localhost --keep-ca-key --out-dir tls
refused "certs show: standard input twice" 'read only once' from tls/ca.crt "$NRW_BIN" certs show - -
refused "certs verify: standard input twice" 'read only once: only one of .*--ca' \
    from tls/ca.crt "$NRW_BIN" certs verify --ca - --dns-name localhost -
refused "certs issue: standard input twice" 'read only once: only one of .*--ca-key' \
    from tls/ca.crt "$NRW_BIN" certs issue --dns-name a --ca-cert - --ca-key - --out-dir next
exits "certs verify: from standard input" 0 from tls/tls.crt "$NRW_BIN" certs verify --ca tls/ca.crt --dns-name localhost -
is "and it is called so" '<stdin>: verifies for localhost' "$(cat "$BODY")"
exits "lint: the worst of several files" 2 lint "$POLICY" absent
like "lint: and the good one is told" 'policy.yaml: valid' "$(cat "$BODY")"

# --- other encodings ----------------------------------------------------------------------
want=$(review -o json "$manifest")
for form in crlf bom; do
    for name in policy manifest; do
        file=$POLICY
        [ "$name" = policy ] || file=$manifest
        case $form in
        crlf) sed 's/$/\r/' "$file" ;;
        bom) printf '\xef\xbb\xbf' && cat "$file" ;;
        esac >"$form-$name.yaml"
    done
    is "review: $form" "$want" "$("$NRW_BIN" review -p "$form-policy.yaml" -o json "$form-manifest.yaml")"
done
head -c 100000 /dev/urandom >binary
printf '\xff' | cat - binary >not-utf8
refused "review: bytes that are not UTF-8" 'is not UTF-8; save the file as UTF-8' review not-utf8
exits "lint: bytes that are not UTF-8" 1 lint not-utf8
like "lint: with their place" '^not-utf8:1:1: error: ' "$(cat "$BODY")"
head -c 3000 /dev/zero >zeros
refused "review: control characters" 'control characters' review zeros

# --- too much -----------------------------------------------------------------------------
refused "review: input without end" 'larger than [0-9]+ bytes' review /dev/zero
refused "lint: input without end" 'larger than [0-9]+ bytes' lint /dev/zero
awk 'BEGIN { print "a: &a0 [x, x, x, x, x, x, x, x, x, x]"
    for (i = 1; i < 12; i++) printf "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1 }' >laughs
refused "review: a billion laughs" 'too many values' timeout 20 "$NRW_BIN" review -p "$POLICY" laughs
exits "lint: a billion laughs" 1 timeout 20 "$NRW_BIN" lint laughs
head -c 100000 /dev/zero | tr '\0' '[' >deep
refused "review: 100,000 levels" 'nested too deep' review deep
exits "lint: 100,000 levels" 1 lint deep
awk 'BEGIN { for (i = 0; i < 50000; i++) print "---\na: b" }' >documents
refused "review: 50,000 documents" 'more than [0-9]+ documents' review documents

# --- nobody takes the output --------------------------------------------------------------
for how in full_disk closed_output; do
    regex='cannot write to standard output: (No space left on device|Bad file descriptor)$'
    for arguments in "review -p $POLICY $manifest" "review -p $POLICY -o json $manifest" "lint $POLICY" 'explain A=b' \
        version '--help' 'review --help' 'help serve' 'help certs issue' 'certs issue --help'; do
        # shellcheck disable=SC2086 # words
        refused "$how: $arguments" "$regex" "$how" "$NRW_BIN" $arguments
    done
done
is "help of a verb's part" "$("$NRW_BIN" certs issue --help)" "$("$NRW_BIN" help certs issue)"
refused "an option where the verb belongs" '^nvcf-registry-webhook: unknown option -o: the verb comes first; .*--help' "$NRW_BIN" -o json version
refused "an empty verb" '^nvcf-registry-webhook: no verb given; .*--help' "$NRW_BIN" ''
refused "a file without a name" 'a file without a name' lint ''
rc=0
review -o json "$manifest" 2>"$WORK/err" | head -c 0 || rc=$?
is "a reader that leaves is no crash" '' "$(cat "$WORK/err")"

# --- colour is for people -------------------------------------------------------------------
if command -v script >/dev/null; then
    terminal() { env "$1" script -qec "'$NRW_BIN' review -p '$POLICY' '$manifest'" /dev/null </dev/null; }
    like "on a terminal there is colour" $'\e\\[1m' "$(terminal TERM=xterm)"
    unlike "not where it is not wanted" $'\e' "$(terminal NO_COLOR=1)"
    unlike "not where the terminal cannot" $'\e' "$(terminal TERM=dumb)"
else
    skip "colour on a terminal" "script is not installed (Debian: bsdutils)"
fi
unlike "in a pipe there is none" $'\e' "$(review "$manifest")"

# --- what a file holds does not steer the terminal -------------------------------------------
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: api-env, namespace: nvcf, labels: {app.kubernetes.io/name: helm-nvcf-api}}\ndata:\n  NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME: "a\\e[2J\\u009b2Jb"\n  NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_HOSTNAME: "x\\u0085.io"\n' >steer
review steer >"$BODY" 2>&1 || true
like "a value is shown" 'a\?\[2J\?2Jb' "$(cat "$BODY")"
is "without its control characters" '' "$(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$BODY" || true)"
finish
