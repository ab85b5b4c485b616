/* PEM from files, Secrets and caBundles: whatever the bytes are, they are read or refused
 * with a one-line message, nothing is left in OpenSSL's error queue, and what is read can
 * be read again from what is written. The input is cut in two at the first 0xff byte: a
 * certificate file and a key file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "certs/contents.h"
#include "certs/inspect.h"
#include "certs/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_at(bool good, int line)
{
    if (good)
        return;
    fprintf(stderr, "fuzz_pem: the check in line %d failed\n", line);
    abort();
}
#define check(good) check_at((good), __LINE__)

static void check_refusal(const struct err *err)
{
    check(err->code != ERR_NONE && err->message[0] != '\0');
    check(strchr(err->message, '\n') == NULL);
}

static void check_infos(const struct cert_info *infos, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check(infos[i].fingerprint.n == 64 && infos[i].public_key.n == 64);
        for (size_t n = 0; n < infos[i].name_count; n++) {
            for (size_t c = 0; c < infos[i].names[n].n; c++)
                check((unsigned char)infos[i].names[n].p[c] > 0x20 &&
                      (unsigned char)infos[i].names[n].p[c] < 0x7f);
        }
        for (size_t c = 0; c < infos[i].subject.n; c++)
            check((unsigned char)infos[i].subject.p[c] >= 0x20);
    }
}

static void fill(struct buf *out, struct str text)
{
    check(buf_str(out, text) || text.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    struct str all = str_from((const char *)data, size);
    size_t cut = str_index(all, 0, (char)0xff);
    struct str cert = str_first(all, cut);
    struct str key = str_skip(all, cut + 1);
    struct err err = {0};

    struct arena arena;
    arena_init(&arena, 8u << 20);
    struct cert_info *infos = NULL;
    size_t count = 0;
    if (cert_inspect(&arena, cert, "fuzz", &infos, &count, &err))
        check_infos(infos, count);
    else
        check_refusal(&err);
    check(ERR_peek_error() == 0);

    err_clear(&err);
    EVP_PKEY *parsed = cert_pem_key(key, "fuzz", &err);
    check(parsed != NULL || err.code != ERR_NONE);
    EVP_PKEY_free(parsed);

    err_clear(&err);
    struct cert_check verify = {.chain_pem = cert,
                                .ca_pem = cert,
                                .key_pem = key,
                                .name = "hook.hooks.svc",
                                .at = 1795000000};
    if (!cert_verify(&verify, &err))
        check_refusal(&err);
    check(ERR_peek_error() == 0);

    static const char *const dns[] = {"hook.hooks.svc"};
    struct cert_names names = {.dns = dns, .dns_count = 1};
    struct cert_secret secret;
    cert_secret_init(&secret);
    fill(&secret.ca_cert, cert);
    fill(&secret.ca_key, key);
    fill(&secret.tls_cert, cert);
    fill(&secret.tls_key, key);
    struct cert_contents contents;
    if (cert_contents_read(&contents, &secret, &names, &err)) {
        check(contents.ca_count <= PLAN_CAS_MAXIMUM);
        check(contents.leaf_issuer < (int)contents.ca_count);
        /* The bundle holds the same CAs, in the same order. */
        struct arena again;
        struct cert_info *twice = NULL;
        size_t twice_count = 0;
        arena_init(&again, 8u << 20);
        if (contents.ca_count > 0) {
            check(cert_inspect(&again, contents.bundle, "bundle", &twice, &twice_count,
                               NULL));
            check(twice_count == contents.ca_count);
            for (size_t i = 0; i < twice_count; i++)
                check(str_eq(twice[i].fingerprint, contents.cas[i]->fingerprint));
        }
        arena_done(&again);
    }
    cert_contents_done(&contents);
    cert_secret_done(&secret);
    check(ERR_peek_error() == 0);
    arena_done(&arena);
    return 0;
}
