/* PEM through memory; see pem.h. No file is touched here, and no function of OpenSSL is
 * called in the form that would ask a terminal for a passphrase. */
#include "certs/pem.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define KEY_PEM_MAXIMUM (64u * 1024u) /* RSA 16384 takes 13 KiB */

void cert_x509_cleanup(X509 **x509)
{
    X509_free(*x509);
}

void cert_stack_cleanup(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}

void cert_pkey_cleanup(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

void cert_bio_cleanup(BIO **bio)
{
    BIO_free(*bio);
}

bool cert_openssl_error(struct err *err, const char *doing)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    bool memory = code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    ERR_clear_error();
    if (memory)
        return err_nomem(err);
    return err_set(err, ERR_INTERNAL, "%s: %s", doing,
                   reason != NULL ? reason : "OpenSSL gives no reason");
}

/* One block of PEM, as OpenSSL hands it out; all three are its memory. */
struct block {
    char *name;
    char *header;
    unsigned char *data;
    long size;
};

static void block_done(struct block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    /* It may have been a key, also where a certificate was looked for. */
    if (block->data != NULL)
        OPENSSL_clear_free(block->data, (size_t)block->size);
    *block = (struct block){0};
}

enum next { NEXT_BLOCK, NEXT_END, NEXT_ERROR };

static enum next block_next(BIO *bio, struct block *ret_block)
{
    ERR_clear_error();
    if (PEM_read_bio(bio, &ret_block->name, &ret_block->header, &ret_block->data,
                     &ret_block->size) == 1)
        return NEXT_BLOCK;
    *ret_block = (struct block){0};
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? NEXT_END
                                                                        : NEXT_ERROR;
}

static BIO *reader(struct str pem, const char *what, size_t maximum, struct err *err)
{
    if (pem.n > maximum) {
        err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", what, maximum);
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio == NULL)
        cert_openssl_error(err, what);
    return bio;
}

static bool is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
}

static bool is_key(const char *name)
{
    return str_ends(str_of(name), STR("PRIVATE KEY"));
}

static X509 *certificate_of(const struct block *block)
{
    const unsigned char *p = block->data;
    X509 *x509 = d2i_X509(NULL, &p, block->size);
    if (x509 != NULL && p != block->data + block->size) {
        X509_free(x509); /* bytes after the end: not what anybody signed */
        return NULL;
    }
    return x509;
}

/* False: the block was a certificate that cannot be taken. */
static bool take_block(STACK_OF(X509) * stack, const struct block *block,
                       const char *what, struct err *err)
{
    int count = sk_X509_num(stack);
    if (count >= (int)CERT_COUNT_MAXIMUM)
        return err_set(err, ERR_LIMIT, "%s holds more than %u certificates", what,
                       CERT_COUNT_MAXIMUM);
    X509 *x509 = certificate_of(block);
    if (x509 == NULL) {
        ERR_clear_error();
        return err_set(err, ERR_SYNTAX, "certificate %d in %s is damaged", count + 1,
                       what);
    }
    if (sk_X509_push(stack, x509) > 0)
        return true;
    X509_free(x509);
    return err_nomem(err);
}

STACK_OF(X509) * cert_pem_certificates(struct str pem, const char *what, struct err *err)
{
    CERT_AUTO_BIO BIO *bio = reader(pem, what, CERT_PEM_MAXIMUM, err);
    if (bio == NULL)
        return NULL;
    CERT_AUTO_STACK STACK_OF(X509) *stack = sk_X509_new_null();
    if (stack == NULL) {
        err_nomem(err);
        return NULL;
    }
    bool saw_key = false;
    for (;;) {
        NRW_CLEANUP(block_done) struct block block = {0};
        enum next next = block_next(bio, &block);
        if (next == NEXT_END)
            break;
        if (next == NEXT_ERROR) {
            ERR_clear_error();
            err_set(err, ERR_SYNTAX,
                    "the PEM text of %s is damaged after %d certificates", what,
                    sk_X509_num(stack));
            return NULL;
        }
        saw_key = saw_key || is_key(block.name);
        if (is_certificate(block.name) && !take_block(stack, &block, what, err))
            return NULL;
    }
    ERR_clear_error();
    if (sk_X509_num(stack) == 0) {
        err_set(err, ERR_SYNTAX,
                "%s holds %s; a certificate in PEM begins with "
                "-----BEGIN CERTIFICATE-----",
                what, saw_key ? "a private key, no certificate" : "no certificate");
        return NULL;
    }
    STACK_OF(X509) *found = stack;
    stack = NULL;
    return found;
}

/* For OpenSSL, in place of the one that asks the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* The first key of the text. What kind of text it is instead is said here: OpenSSL's own
 * errors would not say. */
static bool find_key(struct str pem, const char *what, struct block *ret_block,
                     struct err *err)
{
    CERT_AUTO_BIO BIO *bio = reader(pem, what, KEY_PEM_MAXIMUM, err);
    if (bio == NULL)
        return false;
    bool saw_certificate = false;
    for (;;) {
        NRW_CLEANUP(block_done) struct block block = {0};
        enum next next = block_next(bio, &block);
        ERR_clear_error();
        if (next == NEXT_ERROR)
            return err_set(err, ERR_SYNTAX, "the PEM text of %s is damaged", what);
        if (next == NEXT_END)
            break;
        if (strcmp(block.name, PEM_STRING_PKCS8) == 0 ||
            (is_key(block.name) && strstr(block.header, "ENCRYPTED") != NULL))
            return err_set(err, ERR_INVALID,
                           "the private key in %s is encrypted, and nobody can type its "
                           "passphrase here; write it without one: openssl pkey -in OLD "
                           "-out NEW",
                           what);
        if (is_key(block.name)) {
            *ret_block = block;
            block = (struct block){0};
            return true;
        }
        saw_certificate = saw_certificate || is_certificate(block.name);
    }
    return err_set(err, ERR_SYNTAX,
                   "%s holds %s; a private key in PEM begins with -----BEGIN PRIVATE "
                   "KEY-----",
                   what,
                   saw_certificate ? "a certificate, no private key" : "no private key");
}

/* How a key is encoded, and of what type it is. */
struct encoding {
    const char *structure, *type; /* NULL: not known */
};

static void pkcs8_cleanup(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info); /* wipes the key */
}

/* Those that certificates have today. OpenSSL 3.0 prepares a decoder for every type that
 * it knows, milliseconds of them, where it is not told which. */
static struct encoding encoding_of(const struct block *block)
{
    static const struct encoding unknown = {NULL, NULL};
    if (strcmp(block->name, PEM_STRING_ECPRIVATEKEY) == 0)
        return (struct encoding){"type-specific", "EC"};
    if (strcmp(block->name, PEM_STRING_RSA) == 0)
        return (struct encoding){"type-specific", "RSA"};
    if (strcmp(block->name, PEM_STRING_PKCS8INF) != 0)
        return unknown;
    const unsigned char *p = block->data;
    NRW_CLEANUP(pkcs8_cleanup)
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, block->size);
    const ASN1_OBJECT *algorithm = NULL;
    if (info == NULL || PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) != 1)
        return unknown;
    switch (OBJ_obj2nid(algorithm)) {
    case NID_X9_62_id_ecPublicKey:
        return (struct encoding){"PrivateKeyInfo", "EC"};
    case NID_rsaEncryption:
        return (struct encoding){"PrivateKeyInfo", "RSA"};
    case NID_ED25519:
        return (struct encoding){"PrivateKeyInfo", "ED25519"};
    default:
        return unknown;
    }
}

static EVP_PKEY *decode(const struct block *block)
{
    struct encoding encoding = encoding_of(block);
    const unsigned char *p = block->data;
    size_t n = (size_t)block->size;
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(
        &key, "DER", encoding.structure, encoding.type, EVP_PKEY_KEYPAIR, NULL, NULL);
    if (decoder == NULL || OSSL_DECODER_from_data(decoder, &p, &n) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    OSSL_DECODER_CTX_free(decoder);
    return key;
}

EVP_PKEY *cert_pem_key(struct str pem, const char *what, struct err *err)
{
    NRW_CLEANUP(block_done) struct block block = {0};
    if (!find_key(pem, what, &block, err))
        return NULL;
    EVP_PKEY *key = decode(&block);
    ERR_clear_error();
    if (key == NULL)
        err_set(err, ERR_SYNTAX,
                "the private key in %s is damaged or of a kind that "
                "OpenSSL cannot read",
                what);
    return key;
}

/* Into `out` in one allocation: a buffer that grows would leave pieces of a key behind.
 */
static bool append_bio(BIO *bio, struct buf *out, struct err *err)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    if (size < 0 || !buf_reserve(out, (size_t)size))
        return out->over_limit
                   ? err_set(err, ERR_LIMIT, "the PEM text is larger than %zu bytes",
                             out->maximum)
                   : err_nomem(err);
    buf_append(out, data, (size_t)size);
    return true;
}

bool cert_pem_write(X509 *x509, struct buf *out, struct err *err)
{
    CERT_AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_X509(bio, x509) != 1)
        return cert_openssl_error(err, "cannot write a certificate");
    return append_bio(bio, out, err);
}

bool cert_pem_write_key(EVP_PKEY *key, struct buf *out, struct err *err)
{
    /* Memory BIOs wipe what they free, also when they grow. */
    CERT_AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, no_passphrase, NULL) != 1)
        return cert_openssl_error(err, "cannot write a private key");
    return append_bio(bio, out, err);
}

void cert_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}
