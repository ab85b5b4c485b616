/* The policy's hash; see policy_hash.h. Each text goes in with its length before it, so
 * that no two policies have one canonical text. The text's first line is its version. */
#include "policy/policy_hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "util/arena.h"
#include "util/buf.h"

#define CANONICAL_LIMIT (8u << 20)

static void put(struct buf *buf, struct str text)
{
    buf_printf(buf, "%zu:", text.n);
    buf_str(buf, text);
    buf_char(buf, '\n');
}

static int compare_labels(const void *a, const void *b)
{
    return str_cmp(((const struct policy_label *)a)->key,
                   ((const struct policy_label *)b)->key);
}

/* A selector cannot be sorted in place: the policy is immutable. */
static bool put_selector(struct buf *buf, const struct policy_target *target)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, CANONICAL_LIMIT);
    size_t n = target->selector_count;
    struct policy_label *labels = ARENA_ARRAY(&arena, struct policy_label, n);
    if (labels == NULL)
        return false;
    if (n > 0) {
        memcpy(labels, target->selector, n * sizeof(*labels));
        qsort(labels, n, sizeof(*labels), compare_labels);
    }
    for (size_t i = 0; i < n; i++) {
        put(buf, labels[i].key);
        put(buf, labels[i].value);
    }
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Each target as a text of its own, the texts sorted. */
static bool put_targets(struct buf *buf, struct arena *arena, const struct policy *policy)
{
    struct str *texts = ARENA_ARRAY(arena, struct str, policy->target_count);
    if (texts == NULL)
        return false;
    for (size_t i = 0; i < policy->target_count; i++) {
        const struct policy_target *target = &policy->targets[i];
        NRW_AUTO_BUF struct buf one;
        buf_init(&one, CANONICAL_LIMIT);
        put(&one, target->name_space);
        put(&one, target->container);
        put(&one, target->prefix);
        if (!put_selector(&one, target) || one.failed)
            return false;
        texts[i] = arena_str(arena, buf_view(&one));
    }
    if (policy->target_count > 0)
        qsort(texts, policy->target_count, sizeof(*texts), compare_texts);
    for (size_t i = 0; i < policy->target_count; i++)
        put(buf, texts[i]);
    return !arena->failed;
}

static void put_registries(struct buf *buf, const struct policy *policy)
{
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *registry = &policy->registries[i];
        buf_text(buf, registry->native ? "native " : "custom ");
        put(buf, registry->key);
        put(buf, registry->name);
        put(buf, registry->hostname);
    }
}

bool policy_hash(struct policy *policy, struct err *err)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, CANONICAL_LIMIT);
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, CANONICAL_LIMIT);
    buf_printf(
        &text, "nvcf-registry-webhook policy 1\n%s %s %s %s\n",
        policy_mode_name(policy->mode), policy_enforcement_name(policy->enforcement),
        policy_unlisted_name(policy->unlisted), policy_opaque_name(policy->opaque));
    put_registries(&text, policy);
    if (!put_targets(&text, &arena, policy) || text.failed)
        return err_nomem(err);
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(text.data, text.size, digest, NULL, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "SHA-256 is not available in OpenSSL");
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < 8; i++) {
        policy->hash[2 * i] = hex[digest[i] >> 4];
        policy->hash[2 * i + 1] = hex[digest[i] & 15];
    }
    policy->hash[16] = '\0';
    return true;
}
