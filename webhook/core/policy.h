/* The policy as values. Made from text by policy/ (text in, object out), read by core/.
 * Immutable once made; shared between threads by whoever holds it (a snapshot). */
#ifndef NRW_CORE_POLICY_H
#define NRW_CORE_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

#define POLICY_API_VERSION    "nvcf-registry-webhook/v1"
#define POLICY_KIND           "RegistryPolicy"
#define POLICY_MAX_BYTES      (1024u * 1024u)
#define POLICY_MAX_REGISTRIES 256u
#define POLICY_MAX_TARGETS    64u
#define POLICY_DATA_KEY       "policy.yaml"
#define POLICY_CONFIGMAP      "nvcf-registry-policy"

enum policy_mode { POLICY_INJECT, POLICY_CHECK };
enum policy_enforcement { POLICY_ENFORCE, POLICY_AUDIT };
enum policy_unlisted { UNLISTED_WARN, UNLISTED_DENY, UNLISTED_REMOVE, UNLISTED_ALLOW };
enum policy_opaque { OPAQUE_WARN, OPAQUE_DENY, OPAQUE_ALLOW };

struct policy_registry {
    struct str
        key; /* ^[A-Z][A-Z0-9]{0,31}$ for custom ones; HARBOR or ARTIFACTORY: native */
    struct str name;
    struct str hostname;
    bool native;
    unsigned line, column; /* of the key in the text; 0 when made by hand */
};

struct policy_label {
    struct str key, value;
};

struct policy_target {
    struct str name_space; /* the field `namespace` */
    const struct policy_label *selector;
    size_t selector_count; /* at least 1 */
    struct str container;
    struct str prefix; /* NVCF or NVCT */
};

struct policy {
    enum policy_mode mode;
    enum policy_enforcement enforcement;
    enum policy_unlisted unlisted;
    enum policy_opaque opaque;
    const struct policy_registry *registries; /* custom and native, sorted by key */
    size_t registry_count;
    const struct policy_target *targets;
    size_t target_count;
    char hash[17]; /* 16 hexadecimal digits over the meaning, not over the layout */
};

const char *policy_mode_name(enum policy_mode mode);
const char *policy_enforcement_name(enum policy_enforcement enforcement);
const char *policy_unlisted_name(enum policy_unlisted unlisted);
const char *policy_opaque_name(enum policy_opaque opaque);

#endif
