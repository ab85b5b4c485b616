#!/usr/bin/env bash
# `certs issue`, `show` and `verify` as an admin uses them; what is issued is judged by
# openssl's own program.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

run() { "$NRW_BIN" certs "$@"; }
dir=$WORK/tls

# --- issue: files --------------------------------------------------------------------------
exits 'a CA and a certificate are issued' 0 run issue --service hook -n ns --ip ::1 --out-dir "$dir"
like 'and it says what for' 'tls\.crt: ECDSA P-256, expires .*for hook\.ns\.svc, hook\.ns, hook\.ns\.svc\.cluster\.local, ::1' "$(cat "$BODY")"
is 'the key is for its owner only' 600 "$(stat -c %a "$dir/tls.key")"
is 'the certificates are for all' '644 644' "$(stat -c %a "$dir/ca.crt" "$dir/tls.crt" | paste -sd' ')"
is "the CA's key is not kept" 3 "$(find "$dir" -type f | wc -l)"
ok 'openssl verifies it, strictly' openssl verify -x509_strict -purpose sslserver -CAfile "$dir/ca.crt" \
    -verify_hostname hook.ns.svc "$dir/tls.crt"
text=$(openssl x509 -in "$dir/tls.crt" -noout -text)
like 'server authentication' 'TLS Web Server Authentication' "$text"
like 'for signing only' 'Digital Signature$' "$text"
like 'P-256' 'prime256v1' "$text"
text=$(openssl x509 -in "$dir/ca.crt" -noout -text)
like 'the CA signs leaves only' 'CA:TRUE, pathlen:0' "$text"
is 'the key belongs to it' "$(openssl x509 -in "$dir/tls.crt" -noout -pubkey)" "$(openssl pkey -in "$dir/tls.key" -pubout)"
days() { echo $((($(date -d "$(openssl x509 -in "$1" -noout -enddate | cut -d= -f2)" +%s) - $(date +%s) + 43200) / 86400)); }
is 'the CA lives a year' 365 "$(days "$dir/ca.crt")"
is 'the certificate thirty days' 30 "$(days "$dir/tls.crt")"
ok 'it is valid already for a clock that is behind' openssl verify -attime $(($(date +%s) - 240)) -CAfile "$dir/ca.crt" "$dir/tls.crt"

before=$(sha256sum "$dir"/*)
exits 'files that are there are not overwritten' 2 run issue --dns-name a.example --out-dir "$dir"
like 'and it says how to' 'exists; give --force' "$(cat "$BODY")"
is 'nothing was touched' "$before" "$(sha256sum "$dir"/*)"
exits 'unless --force says so' 0 run issue --dns-name a.example --out-dir "$dir" --force
isnt 'then they are' "$before" "$(sha256sum "$dir"/*)"
is 'no temporary file stays behind' 3 "$(find "$dir" -type f | wc -l)"
# A pair is replaced whole or not at all.
mv "$dir/tls.key" "$dir/old.key"
mkdir "$dir/tls.key"
before=$(sha256sum "$dir"/*.crt)
exits 'a folder where the key should be' 2 run issue --dns-name a.example --out-dir "$dir" --force
like 'and it says so' 'tls.key: Is a directory' "$(cat "$BODY")"
is 'the certificates are as they were' "$before" "$(sha256sum "$dir"/*.crt)"
is 'nothing stays behind' 3 "$(find "$dir" -type f | wc -l)"
rmdir "$dir/tls.key"
mv "$dir/old.key" "$dir/tls.key"

# A name that is given twice stands in the certificate once.
run issue --service hook -n ns --dns-name HOOK.ns.svc --dns-name hook.ns --ip ::1 --ip 0:0::1 --ip 127.0.0.1 --out-dir "$WORK/twice" >/dev/null
is 'each name once' 'DNS:HOOK.ns.svc, DNS:hook.ns, DNS:hook.ns.svc.cluster.local, IP Address:0:0:0:0:0:0:0:1, IP Address:127.0.0.1' \
    "$(openssl x509 -in "$WORK/twice/tls.crt" -noout -ext subjectAltName | sed -n 's/^ *DNS/DNS/p')"
# The folder is made with all that is above it.
exits 'a folder in a folder that is not there' 0 run issue --dns-name a --out-dir "$WORK/q1/q2//q3/"
is 'it is made' 3 "$(find "$WORK/q1/q2/q3" -type f | wc -l)"
exits 'and need not be' 0 run issue --dns-name a --out-dir "$WORK/q1/q2/q4"
: >"$WORK/no-folder"
exits 'not below a file' 2 run issue --dns-name a --out-dir "$WORK/no-folder/q"
like 'and it says so' "cannot make the folder $WORK/no-folder/q: Not a directory" "$(cat "$BODY")"

# --- issue: with a CA that is there -----------------------------------------------------------
exits 'the CA key is kept on demand' 0 run issue --dns-name a.example --out-dir "$WORK/ca" --keep-ca-key --rsa 2048 --ca-days 10
is 'for its owner only' 600 "$(stat -c %a "$WORK/ca/ca.key")"
like 'RSA on demand' 'Public-Key: \(2048 bit\)' "$(openssl x509 -in "$WORK/ca/tls.crt" -noout -text)"
exits 'another certificate of the same CA' 0 run issue --dns-name b.example --days 90 --out-dir "$WORK/two" \
    --ca-cert "$WORK/ca/ca.crt" --ca-key "$WORK/ca/ca.key"
ok 'verifies with it' openssl verify -CAfile "$WORK/ca/ca.crt" -verify_hostname b.example "$WORK/two/tls.crt"
is 'and does not outlive it' 10 "$(days "$WORK/two/tls.crt")"
exits "a key that is not the CA's is refused" 2 run issue --dns-name c.example --out-dir "$WORK/three" \
    --ca-cert "$WORK/ca/ca.crt" --ca-key "$dir/tls.key"
like 'with a reason' 'does not belong' "$(cat "$BODY")"
is 'and nothing is written' '' "$(find "$WORK/three" -type f 2>/dev/null)"
openssl pkcs8 -topk8 -in "$WORK/ca/ca.key" -passout pass:secret -out "$WORK/locked.key"
exits 'an encrypted key is refused, without asking' 2 run issue --dns-name c.example --out-dir "$WORK/three" \
    --ca-cert "$WORK/ca/ca.crt" --ca-key "$WORK/locked.key"
like 'and it says what to do' 'encrypted.*openssl pkey -in OLD -out NEW' "$(cat "$BODY")"

# The key of a CA that is replaced goes with it: beside another CA's certificate it is of no use.
old=$WORK/old
run issue --dns-name a.example --out-dir "$old" --keep-ca-key >/dev/null
exits 'a kept CA key, and a new CA without one' 0 run issue --dns-name a.example --out-dir "$old" --force
like 'the old key is removed, and it says so' "removed $old/ca.key: " "$(cat "$BODY")"
is 'it is gone' 3 "$(find "$old" -type f | wc -l)"
run issue --dns-name a.example --out-dir "$old" --keep-ca-key --force >/dev/null
exits 'the CA that is there signs again' 0 run issue --dns-name a.example --out-dir "$old" --force --ca-cert "$old/ca.crt" --ca-key "$old/ca.key"
exits 'and its key stays' 0 run issue --dns-name b.example --out-dir "$WORK/old-next" --ca-cert "$old/ca.crt" --ca-key "$old/ca.key"
cp "$dir/tls.key" "$old/ca.key"
exits "a key that is nobody's" 0 run issue --dns-name a.example --out-dir "$old" --force
ok 'is left alone' cmp "$dir/tls.key" "$old/ca.key"

# --- issue: a Secret ----------------------------------------------------------------------------
run issue --service hook -n ns -o secret --name ns/hook-tls >"$WORK/secret.yaml"
field() { sed -nE "s/^  $1: \"?([^\"]*)\"?\$/\1/p" "$WORK/secret.yaml"; }
is 'a Secret has its name' 'hook-tls ns' "$(field name) $(field namespace)"
like 'and its type' '^type: kubernetes.io/tls$' "$(cat "$WORK/secret.yaml")"
for entry in ca.crt tls.crt tls.key; do field "$entry" | base64 -d >"$WORK/from-$entry"; done
ok 'what is in it fits together' run verify --ca "$WORK/from-ca.crt" --dns-name hook.ns.svc --key "$WORK/from-tls.key" "$WORK/from-tls.crt"
unlike "the CA's key is not in it" 'ca.key' "$(cat "$WORK/secret.yaml")"

# --- show ------------------------------------------------------------------------------------------
run issue --dns-name a.example --ip 127.0.0.1 --out-dir "$WORK/show" >/dev/null
exits 'certificates are shown' 0 run show "$WORK/show/ca.crt" "$WORK/show/tls.crt"
like 'a table for people' '^FILE +SUBJECT +KIND +KEY +EXPIRES +LEFT +NAMES$' "$(head -1 "$BODY")"
like 'the CA' '^[^ ]+ca.crt +CN=nvcf-registry-webhook CA [0-9a-f]{8} +CA +ECDSA P-256 +[0-9T:Z-]+ +36[45]d +-$' "$(sed -n 2p "$BODY")"
like 'the certificate' '^[^ ]+tls.crt +CN=a.example +server .* (29|30)d +a.example,127.0.0.1$' "$(sed -n 3p "$BODY")"
cat "$WORK/show/tls.crt" "$WORK/show/ca.crt" | run show -o json - >"$WORK/show.json"
is 'JSON: one object for each' '<stdin> 0 false true,<stdin> 1 true false' \
    "$(jq -r '"\(.file) \(.index) \(.ca) \(.serverAuth)"' "$WORK/show.json" | paste -sd,)"
is 'with its fingerprint' "$(openssl x509 -in "$WORK/show/tls.crt" -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | tr A-F a-f)" \
    "$(jq -r 'select(.index == 0).sha256' "$WORK/show.json")"
exits 'an expired one is exit code 1' 1 run show --at 2099-01-01 "$WORK/show/tls.crt"
like 'and says so' ' expired ' "$(cat "$BODY")"
exits 'no certificate is exit code 2' 2 run show "$WORK/show/tls.key"
like 'and says what it is' 'a private key, no certificate' "$(cat "$BODY")"
exits 'nor is a missing file' 2 run show "$WORK/none"
is 'one line' 1 "$(wc -l <"$BODY")"

# --- verify ------------------------------------------------------------------------------------------
verify() { run verify --ca "$WORK/show/ca.crt" --key "$WORK/show/tls.key" "$@" "$WORK/show/tls.crt"; }
exits 'it verifies for its name' 0 verify --dns-name a.example
exits 'and for its address' 0 verify --dns-name 127.0.0.1
exits 'not for another' 1 verify --dns-name b.example
like 'it says which it has, and what to do' 'not for b.example but for a.example, 127.0.0.1; issue one with --dns-name b.example' "$(cat "$BODY")"
exits 'not when it has expired' 1 verify --dns-name a.example --at 2099-01-01T00:00:00Z
exits 'not with another CA' 1 run verify --ca "$dir/ca.crt" --dns-name a.example "$WORK/show/tls.crt"
exits 'not with another key' 1 run verify --ca "$WORK/show/ca.crt" --key "$dir/tls.key" --dns-name a.example "$WORK/show/tls.crt"

# Every name that is given counts.
exits 'two names that it has' 0 verify --dns-name a.example --dns-name 127.0.0.1
is 'one line for each' 'verifies for a.example,verifies for 127.0.0.1' "$(sed 's/.*: //' "$BODY" | paste -sd,)"
exits 'a first name that it has not' 1 verify --dns-name b.b --dns-name a.example
like 'is said' 'not for b.b but for a.example' "$(head -1 "$BODY")"
like 'and the other one too' ': verifies for a.example$' "$(sed -n 2p "$BODY")"
exits 'names do not matter to one that has expired' 1 verify --dns-name a.example --dns-name 127.0.0.1 --at 2099-01-01
is 'which is said once' 1 "$(wc -l <"$BODY")"
# In the file the serving certificate comes first.
# What OpenSSL would take and the API server, which is Go, cannot.
curve() { echo "-algorithm EC -pkeyopt ec_paramgen_curve:$1"; }
sign() { # FILE KEY-OPTIONS EXTENSIONS SIGNER-OPTION…: FILE.key and FILE.crt
    local file=$1 options=$2 extensions=$3
    shift 3
    # shellcheck disable=SC2086 # words
    openssl genpkey $options -out "$file.key" 2>>"$WORK/odd.log"
    openssl req -new -key "$file.key" -subj "/CN=${file##*/}" -out "$file.csr"
    openssl x509 -req -in "$file.csr" -days 5 -extfile <(printf '%b' "$extensions") -out "$file.crt" "$@" 2>>"$WORK/odd.log"
}
chain() { # CA-KEY-OPTIONS LEAF-KEY-OPTIONS SIGNER-OPTION…
    rm -rf "$WORK/odd"
    mkdir "$WORK/odd"
    local ca=$1 leaf=$2
    shift 2
    sign "$WORK/odd/ca" "$ca" 'basicConstraints=critical,CA:TRUE' -signkey "$WORK/odd/ca.key"
    sign "$WORK/odd/tls" "$leaf" 'subjectAltName=DNS:a.example' -CA "$WORK/odd/ca.crt" -CAkey "$WORK/odd/ca.key" "$@"
}
judged() { # NAME CODE REGEX
    exits "$1" "$2" run verify --ca "$WORK/odd/ca.crt" --key "$WORK/odd/tls.key" --dns-name a.example "$WORK/odd/tls.crt"
    like "$1: it says so" "$3" "$(cat "$BODY")"
}
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -out "$WORK/dsa.pem" 2>"$WORK/odd.log"
p256=$(curve P-256)
for good in "$(curve P-384)" "$(curve P-521)" '-algorithm ED25519' '-algorithm RSA -pkeyopt rsa_keygen_bits:2048'; do
    chain "$good" "$good"
    judged "Go can use $good" 0 'verifies for a\.example$'
done
# In the file the serving certificate comes first.
chain "$p256" "$p256"
sign "$WORK/odd/middle" "$p256" 'basicConstraints=critical,CA:TRUE' -CA "$WORK/odd/ca.crt" -CAkey "$WORK/odd/ca.key"
sign "$WORK/odd/leaf" "$p256" 'subjectAltName=DNS:a.example' -CA "$WORK/odd/middle.crt" -CAkey "$WORK/odd/middle.key"
mv "$WORK/odd/leaf.key" "$WORK/odd/tls.key"
cat "$WORK/odd/leaf.crt" "$WORK/odd/middle.crt" >"$WORK/odd/tls.crt"
judged 'with an intermediate' 0 'verifies for a\.example$'
cat "$WORK/odd/middle.crt" "$WORK/odd/leaf.crt" >"$WORK/odd/tls.crt"
judged 'the intermediate before the certificate' 1 'its first certificate is a CA, and the API server takes the first; put certificate 2, the serving one, before it'
cat "$WORK/odd/middle.crt" "$WORK/odd/ca.crt" >"$WORK/odd/tls.crt"
judged 'CAs only' 1 'is not for a.example but for no name at all'
while IFS='|' read -r bad text; do
    advice="$text, which the API server \(Go\) cannot use; use ECDSA P-256, P-384 or P-521, RSA from 2048 bits on, or Ed25519"
    chain "$p256" "$bad"
    judged "Go cannot use a key of $bad" 1 "the key of the certificate is $advice"
    chain "$bad" "$p256"
    judged "Go cannot use a CA of $bad" 1 "the key of its CA is $advice"
done <<EOF
$(curve secp256k1)|ECDSA secp256k1
$(curve P-224)|ECDSA P-224
$(curve brainpoolP256r1)|ECDSA brainpoolP256r1
-algorithm ED448|ED448
-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048|RSA-PSS
-paramfile $WORK/dsa.pem|DSA
EOF
chain "$p256" "$p256 -pkeyopt ec_param_enc:explicit"
judged 'Go cannot use a curve that is written out' 1 'has its curve written out.*use ECDSA P-256'
chain "$p256" "$p256" -sha224
judged 'Go cannot check every signature' 1 'the signature of the certificate is ecdsa-with-SHA224.*issue it again with SHA-256'

# --- usage ---------------------------------------------------------------------------------------------
usage() { # NAME REGEX ARGUMENT…
    local name=$1 regex=$2
    shift 2
    exits "$name" 2 run "$@"
    like "$name: one line that helps" "$regex" "$(cat "$BODY")"
    is "$name: no more" 1 "$(wc -l <"$BODY")"
}
usage 'nothing to do' 'issue, show or verify'
usage 'a word that is not known' 'did you mean issue' isue
usage 'no name' '--dns-name NAME, --ip ADDRESS, or' issue
usage 'a name that is none' "'a_b' is not a DNS name" issue --dns-name a_b
usage 'half a service' 'needs its --namespace' issue --service a
usage 'a Secret without a name' 'NAMESPACE/NAME' issue --dns-name a -o secret
usage 'half a CA' 'go together' issue --dns-name a --ca-cert x
usage 'weak RSA' '2048, 3072 or 4096' issue --dns-name a --rsa 1024
usage 'days that are no number' 'is not a number from 1' issue --dns-name a --days 0
usage 'verify without a CA' '--ca FILE' verify --dns-name a x
usage 'a time that is none' 'is not a time' verify --ca x --dns-name a --at yesterday x
for verb in '' issue show verify; do
    # shellcheck disable=SC2086 # no word at all for the verb itself
    exits "certs $verb --help" 0 run $verb --help
    like "certs $verb --help: has its usage" '^Usage: ' "$(cat "$BODY")"
done

# --- a folder that cannot be written -------------------------------------------------------------------
: >"$WORK/a-file"
exits 'a file where the folder should be' 2 run issue --dns-name a --out-dir "$WORK/a-file"
if [ -w /dev/full ]; then
    rc=0
    run show "$WORK/show/tls.crt" >/dev/full 2>"$BODY" || rc=$?
    is 'a full disk is noticed' 2 "$rc"
    rc=0
    run issue --dns-name a --out-dir "$WORK/unsaid" >/dev/full 2>"$BODY" || rc=$?
    is 'also when certificates are issued' 2 "$rc"
    is 'which are written' 3 "$(find "$WORK/unsaid" -type f | wc -l)"
    like 'as --help says' '2 not, or written and the list could not be printed' "$(run issue --help | tr '\n' ' ')"
fi

# --- and it serves -----------------------------------------------------------------------------------------
run issue --dns-name localhost --ip 127.0.0.1 --out-dir "$CERTS" >/dev/null
start_server
get /healthz
is 'curl takes what was issued' 200 "$STATUS"
stop_server
finish
