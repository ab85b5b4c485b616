/* Policy text, manifests and the remote configuration: the first byte says which reader
 * gets the rest. Whatever comes, nothing crashes or runs away, and what a reader accepts
 * keeps its promises. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/hostname.h"
#include "policy/policy_file.h"
#include "policy/remote.h"
#include "policy/yaml_json.h"
#include "util/mem.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check_policy(const struct policy *policy)
{
    must(policy->target_count > 0 && policy->target_count <= POLICY_MAX_TARGETS);
    must(policy->registry_count <= POLICY_MAX_REGISTRIES);
    must(strlen(policy->hash) == 16);
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *registry = &policy->registries[i];
        must(registry->name.n > 0 && utf8_valid(registry->name));
        must(hostname_check(registry->hostname).problem == HOSTNAME_GOOD);
        must(i == 0 || str_cmp(policy->registries[i - 1].key, registry->key) < 0);
    }
    for (size_t i = 0; i < policy->target_count; i++) {
        must(policy->targets[i].selector_count > 0);
        must(policy->targets[i].container.n > 0 && policy->targets[i].prefix.n > 0);
    }
}

static void check_findings(const struct findings *findings)
{
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        must(finding->message.n > 0 && utf8_valid(finding->message));
        for (size_t k = 0; k < finding->message.n; k++)
            must((unsigned char)finding->message.p[k] >= 0x20);
        must(i == 0 || findings_at(findings, i - 1)->line <= finding->line);
    }
}

static void check_doc(struct policy_doc *doc)
{
    must(doc != NULL);
    must((doc->policy == NULL) == (findings_count(&doc->findings) > 0));
    if (doc->policy != NULL)
        check_policy(doc->policy);
    check_findings(&doc->findings);
    policy_doc_free(doc);
}

/* What was made can be printed and read again, and is the same. */
static void try_json(struct str text)
{
    static const struct yaml_limits small = {
        .bytes = 1u << 20, .nodes = 20000, .depth = 64, .documents = 100, .anchors = 100};
    struct yaml_json docs = {0};
    struct err err = {0};
    if (!yaml_json_parse(text, &small, &docs, &err)) {
        must(err.code != ERR_NONE && err.message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < docs.count; i++) {
        char *printed = json_dumps(docs.docs[i].json, JSON_COMPACT | JSON_ENCODE_ANY |
                                                          JSON_REAL_PRECISION(17));
        must(printed != NULL);
        json_t *again = json_loads(printed, JSON_DECODE_ANY, NULL);
        must(again != NULL && json_equal(again, docs.docs[i].json));
        json_decref(again);
        free(printed);
    }
    yaml_json_done(&docs);
}

static void try_remote(struct str text, struct str key, struct str prefix)
{
    struct arena arena;
    struct remote_config config = {.known = true};
    struct remote_budget budget = {.spent = false};
    const struct kv data[] = {{key, text}, {STR("nvcf.registries.x"), STR("y")}};
    arena_init(&arena, 256u << 20);
    must(remote_config_read(&arena, prefix, data, NRW_COUNT(data), &budget, &config));
    must(config.prop_count > 0);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1u << 18)
        return 0;
    struct str text = str_from((const char *)data + 1, size - 1);
    switch (data[0] % 6) {
    case 0:
        check_doc(policy_doc_new(text, NULL));
        break;
    case 1:
        check_doc(policy_file_parse(text, NULL));
        break;
    case 2:
        try_json(text);
        break;
    case 3:
        try_remote(text, STR("nvcf-api.yaml"), STR(""));
        break;
    case 4:
        try_remote(text, STR("nvcf-api.yaml"), STR("NVCF"));
        break;
    default:
        try_remote(text, STR("nvcf-api.properties"), STR(""));
        break;
    }
    return 0;
}
