#!/usr/bin/env bash
# What a scanner sees of the TLS port: versions, suites, curves, what is off. sslscan, where it
# is installed, says the same in its own words.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_server --log-level error
# handshake OPTION… : what was agreed on ("TLSv1.3 TLS_AES_128_GCM_SHA256"), or "none"
handshake() {
    local out
    out=$(openssl s_client -connect "127.0.0.1:$PORT" -servername localhost -CAfile "$CERTS/ca.crt" \
        -verify_return_error "$@" </dev/null 2>&1) || true
    sed -nE 's/^New, (TLSv1[.0-9]*), Cipher is (.+)$/\1 \2/p' <<<"$out" | grep -v NONE | head -1 | grep . || echo none
}
is "TLS 1.3, our first suite although the client would have another" "TLSv1.3 TLS_AES_128_GCM_SHA256" \
    "$(handshake -ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256)"
is "TLS 1.2" "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256" "$(handshake -tls1_2)"
for version in tls1 tls1_1; do
    is "no $version" none "$(handshake -"$version" -cipher 'ALL:@SECLEVEL=0')"
done
for suite in AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA384 ECDHE-ECDSA-AES128-SHA \
    ECDHE-ECDSA-AES128-CCM DHE-RSA-AES128-GCM-SHA256 ADH-AES128-GCM-SHA256 ECDHE-ECDSA-NULL-SHA PSK-AES128-GCM-SHA256; do
    is "no $suite" none "$(handshake -tls1_2 -cipher "$suite:@SECLEVEL=0")"
done
for suite in ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
    is "$suite" "TLSv1.2 $suite" "$(handshake -tls1_2 -cipher "$suite")"
done
is "no TLS_AES_128_CCM_SHA256" none "$(handshake -tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256)"
is "X25519" "TLSv1.3 TLS_AES_128_GCM_SHA256" "$(handshake -curves X25519 -ciphersuites TLS_AES_128_GCM_SHA256)"
is "no secp521r1" none "$(handshake -curves secp521r1)"

session() { openssl s_client -connect "127.0.0.1:$PORT" -servername localhost -CAfile "$CERTS/ca.crt" "$@" </dev/null 2>&1 || true; }
like "http/1.1 is agreed on" 'ALPN protocol: http/1.1' "$(session -alpn h2,http/1.1)"
like "a client of h2 only gets an alert" 'no application protocol' "$(session -alpn h2)"
like "no compression" 'Compression: NONE' "$(session)"
like "secure renegotiation is known" 'Secure Renegotiation IS supported' "$(session -tls1_2)"
like "early data is not" 'Early data was not sent|Max Early Data: 0' "$(session -tls1_3)"
renegotiated=$({
    sleep 0.3
    echo R
    sleep 0.5
} | timeout 10 openssl s_client -tls1_2 -connect "127.0.0.1:$PORT" -servername localhost 2>&1) || true
like "renegotiation is refused" 'no renegotiation|RENEGOTIATING' "$renegotiated"
unlike "and does not happen" 'RENEGOTIATING.*verify return' "$(tr '\n' ' ' <<<"${renegotiated#*RENEGOTIATING}")"

if command -v sslscan >/dev/null; then
    scan=$(sslscan --no-colour --show-certificate "127.0.0.1:$PORT" 2>&1) || true
    like "sslscan: TLS 1.3" 'TLSv1.3 +enabled' "$scan"
    for old in SSLv2 SSLv3 TLSv1.0 TLSv1.1; do
        like "sslscan: no $old" "^$old +disabled" "$scan"
    done
    like "sslscan: no session renegotiation" 'Session renegotiation not supported' "$scan"
    like "sslscan: no Heartbleed" 'not vulnerable to heartbleed' "$scan"
    unlike "sslscan: no suite without forward secrecy and AEAD" \
        '^(Preferred|Accepted) .*(CBC|SHA$|RC4|DES|NULL|EXPORT|anon|TLS_RSA|DHE-RSA-AES[0-9]+-SHA)' "$scan"
    is "sslscan: suites" 6 "$(grep -cE '^(Preferred|Accepted) ' <<<"$scan")"
else
    skip "sslscan" "it is not installed"
fi
stop_server
finish
