/* Reading the Secret's texts; see contents.h. */
#include "certs/contents.h"

#include <arpa/inet.h>
#include <openssl/err.h>

#include "certs/pem.h"

#define ARENA_MAXIMUM (16u << 20)

void cert_contents_done(struct cert_contents *contents)
{
    arena_done(&contents->arena);
}

static bool has_name(const struct cert_info *leaf, struct str name)
{
    for (size_t i = 0; i < leaf->name_count; i++) {
        if (str_eq_nocase(leaf->names[i], name))
            return true;
    }
    return false;
}

/* An address can be written in several ways; inspect.c has inet_ntop's. */
static bool has_ip(const struct cert_info *leaf, const char *address)
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN] = "";
    if (inet_pton(AF_INET, address, bytes) == 1)
        inet_ntop(AF_INET, bytes, text, sizeof(text));
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        inet_ntop(AF_INET6, bytes, text, sizeof(text));
    return has_name(leaf, str_of(text));
}

bool cert_names_covered(const struct cert_names *names, const struct cert_info *leaf)
{
    for (size_t i = 0; i < names->dns_count; i++) {
        if (!has_name(leaf, str_of(names->dns[i])))
            return false;
    }
    for (size_t i = 0; i < names->ip_count; i++) {
        if (!has_ip(leaf, names->ips[i]))
            return false;
    }
    return true;
}

static bool known(const struct cert_contents *contents, const struct cert_info *info)
{
    for (size_t i = 0; i < contents->ca_count; i++) {
        if (str_eq(contents->cas[i]->fingerprint, info->fingerprint))
            return true;
    }
    return false;
}

/* Nothing in ca.crt that is no CA gets into a caBundle. */
static bool read_cas(struct cert_contents *contents, const struct cert_secret *secret,
                     struct err *err)
{
    struct str pem = buf_view(&secret->ca_cert);
    struct cert_info *infos = NULL;
    size_t count = 0;
    struct err problem = {0};
    if (!cert_inspect(&contents->arena, pem, "ca.crt", &infos, &count, &problem))
        return problem.code != ERR_NOMEM || err_nomem(err);
    CERT_AUTO_STACK STACK_OF(X509) *stack = cert_pem_certificates(pem, "ca.crt", err);
    CERT_AUTO_PKEY EVP_PKEY *key =
        cert_pem_key(buf_view(&secret->ca_key), "ca.key", NULL);
    if (stack == NULL)
        return false;
    for (size_t i = 0; i < count && contents->ca_count < PLAN_CAS_MAXIMUM; i++) {
        if (!infos[i].is_ca || known(contents, &infos[i]))
            continue;
        X509 *x509 = sk_X509_value(stack, (int)i);
        NRW_AUTO_BUF struct buf text;
        buf_init(&text, CERT_PEM_MAXIMUM);
        if (!cert_pem_write(x509, &text, err))
            return false;
        size_t at = contents->ca_count++;
        contents->cas[at] = &infos[i];
        contents->ca_pem[at] = arena_str(&contents->arena, buf_view(&text));
        contents->has_key[at] =
            key != NULL && EVP_PKEY_eq(X509_get0_pubkey(x509), key) == 1;
        ERR_clear_error();
    }
    return true;
}

/* By signature alone: whether either is valid now is the plan's business. False only for
 * want of memory, which must not look like a leaf of nobody's. */
static bool find_issuer(struct cert_contents *contents, struct str leaf_pem,
                        struct err *err)
{
    for (size_t i = 0; i < contents->ca_count; i++) {
        struct cert_check check = {.chain_pem = leaf_pem,
                                   .ca_pem = contents->ca_pem[i],
                                   .key_pem = STR(""),
                                   .at = contents->leaf->not_before};
        struct err problem = {0};
        if (cert_verify(&check, &problem)) {
            contents->leaf_issuer = (int)i;
            return true;
        }
        if (problem.code == ERR_NOMEM)
            return err_nomem(err);
    }
    return true;
}

static bool read_leaf(struct cert_contents *contents, const struct cert_secret *secret,
                      const struct cert_names *names, struct err *err)
{
    struct str pem = buf_view(&secret->tls_cert);
    struct cert_info *infos = NULL;
    size_t count = 0;
    struct err problem = {0};
    if (!cert_inspect(&contents->arena, pem, "tls.crt", &infos, &count, &problem) ||
        !cert_key_matches(pem, buf_view(&secret->tls_key), &problem))
        return problem.code != ERR_NOMEM || err_nomem(err);
    if (!infos[0].server_auth || infos[0].is_ca)
        return true;
    contents->leaf = &infos[0];
    contents->leaf_names = cert_names_covered(names, &infos[0]);
    return find_issuer(contents, pem, err);
}

void cert_contents_bundle(const struct cert_contents *contents, unsigned keep,
                          struct buf *out)
{
    for (size_t i = 0; i < contents->ca_count; i++) {
        if (keep & 1u << i)
            buf_str(out, contents->ca_pem[i]);
    }
}

bool cert_contents_read(struct cert_contents *contents, const struct cert_secret *secret,
                        const struct cert_names *names, struct err *err)
{
    *contents = (struct cert_contents){.leaf_issuer = PLAN_NONE};
    arena_init(&contents->arena, ARENA_MAXIMUM);
    if (!read_cas(contents, secret, err) || !read_leaf(contents, secret, names, err))
        return false;
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, CERT_PEM_MAXIMUM);
    cert_contents_bundle(contents, (1u << contents->ca_count) - 1, &bundle);
    contents->bundle = arena_str(&contents->arena, buf_view(&bundle));
    return (!bundle.failed && !contents->arena.failed) || err_nomem(err);
}
