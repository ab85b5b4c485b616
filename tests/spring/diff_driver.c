/* What the webhook says about generated environments, for the comparison with Spring
 * (docs/SPRING.md). Reads one JSON object a line, {"id", "service", "env", "policy"},
 * or {"file", "text"}; decides as /mutate and then /validate would, and answers one a
 * line: the verdicts, the findings, and the environment as it would then be. Runs in one
 * thread; a test program.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decide.h"
#include "core/hostname.h"
#include "core/spring.h"
#include "policy/remote.h"
#include "util/attr.h"

#define ARENA_MAX  (64u * 1024u * 1024u)
#define MAX_ENV    256u
#define MAX_LISTED 32u
#define REMOTE     "remote:"

struct variable {
    const char *name, *value;
};

struct environment {
    struct variable items[MAX_ENV];
    size_t count;
    struct remote_prop remote[MAX_ENV]; /* named with REMOTE before them in the input */
    size_t remote_count;
};

static void fatal(const char *what)
{
    fprintf(stderr, "diff_driver: %s\n", what);
    exit(2);
}

static struct str text_of(const json_t *value)
{
    if (!json_is_string(value))
        fatal("a text was expected");
    return str_from(json_string_value(value), json_string_length(value));
}

static int by_key(const void *a, const void *b)
{
    const struct policy_registry *left = a;
    const struct policy_registry *right = b;
    return str_cmp(left->key, right->key);
}

static void read_policy(const json_t *json, struct policy_registry *registries,
                        struct policy *policy)
{
    const char *unlisted = json_string_value(json_object_get(json, "unlisted"));
    const char *mode = json_string_value(json_object_get(json, "mode"));
    if (unlisted == NULL || mode == NULL)
        fatal("the policy has no mode or unlisted");
    policy->mode = strcmp(mode, "Check") == 0 ? POLICY_CHECK : POLICY_INJECT;
    policy->unlisted = strcmp(unlisted, "Deny") == 0     ? UNLISTED_DENY
                       : strcmp(unlisted, "Remove") == 0 ? UNLISTED_REMOVE
                       : strcmp(unlisted, "Allow") == 0  ? UNLISTED_ALLOW
                                                         : UNLISTED_WARN;
    const char *key;
    json_t *entry;
    json_object_foreach(json_object_get(json, "registries"), key, entry)
    {
        if (policy->registry_count == MAX_LISTED)
            fatal("too many registries in a policy");
        registries[policy->registry_count++] = (struct policy_registry){
            .key = str_of(key),
            .name = text_of(json_object_get(entry, "name")),
            .hostname = text_of(json_object_get(entry, "hostname")),
            .native = strcmp(key, "HARBOR") == 0 || strcmp(key, "ARTIFACTORY") == 0,
        };
    }
    qsort(registries, policy->registry_count, sizeof(*registries), by_key);
    policy->registries = registries;
}

static void apply(const struct patch *patch, struct environment *env)
{
    for (size_t i = 0; i < patch->ops.count; i++) {
        const struct patch_op *op = patch_at(patch, i);
        if (op->kind == PATCH_ENV_APPEND) {
            if (env->count == MAX_ENV)
                fatal("the environment is too large");
            env->items[env->count++] = (struct variable){op->name.p, op->value.p};
        } else if (op->kind == PATCH_ENV_REPLACE) {
            env->items[op->index] = (struct variable){op->name.p, op->value.p};
        } else if (op->kind == PATCH_ENV_REMOVE) {
            memmove(&env->items[op->index], &env->items[op->index + 1],
                    (env->count - op->index - 1) * sizeof(env->items[0]));
            env->count--;
        }
    }
}

static json_t *findings_json(const struct findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s%,s:s%,s:s%}", "finding",
                                              finding_name(finding->id), "severity",
                                              severity_name(finding->severity), "key",
                                              finding->key.p, finding->key.n, "path",
                                              finding->path.p, finding->path.n, "message",
                                              finding->message.p, finding->message.n));
    }
    return list;
}

static json_t *hosts(const json_t *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct str name = text_of(json_array_get(names, i));
        json_array_append_new(
            list, json_boolean(hostname_check(name).problem == HOSTNAME_GOOD));
    }
    return list;
}

static struct decision decide(struct arena *arena, const struct policy *policy,
                              const struct policy_target *target,
                              const struct environment *env, enum decide_phase phase)
{
    struct env_var *vars = ARENA_ARRAY(arena, struct env_var, env->count + 1);
    if (vars == NULL)
        fatal("out of memory");
    for (size_t i = 0; i < env->count; i++)
        vars[i] = (struct env_var){.name = str_of(env->items[i].name),
                                   .value = str_of(env->items[i].value),
                                   .cm_name = str_null()};
    struct workload workload = {
        .name_space = STR("nvcf"),
        .name = STR("nvcf-api"),
        .container = {.found = true,
                      .env = vars,
                      .env_count = env->count,
                      .env_present = true},
        .injected = str_null(),
        .policy = str_null(),
        .old_injected = str_null(),
        .remote = {.name = STR("remote"),
                   .known = true,
                   .problem = STR(""),
                   .props = env->remote,
                   .prop_count = env->remote_count},
        .has_remote = env->remote_count > 0,
    };
    struct decision decision;
    if (!decide_deployment(arena, policy, target, &workload, phase, &decision))
        fatal("out of memory");
    return decision;
}

static json_t *answer(const json_t *line)
{
    static const struct policy_label label = {STR("app"), STR("api")};
    struct policy_registry registries[MAX_LISTED];
    struct policy policy = {.opaque = OPAQUE_WARN};
    read_policy(json_object_get(line, "policy"), registries, &policy);
    const char *service = json_string_value(json_object_get(line, "service"));
    bool tasks = service != NULL && strcmp(service, "nvct") == 0;
    struct policy_target target = {.name_space = STR("nvcf"),
                                   .selector = &label,
                                   .selector_count = 1,
                                   .container = STR("api"),
                                   .prefix = tasks ? STR("NVCT") : STR("NVCF")};
    policy.targets = &target;
    policy.target_count = 1;
    struct environment env = {.count = 0};
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(line, "env"), name, value)
    {
        if (env.count + env.remote_count == MAX_ENV)
            fatal("the environment is too large");
        if (strncmp(name, REMOTE, strlen(REMOTE)) == 0)
            env.remote[env.remote_count++] = (struct remote_prop){
                .name = str_of(name + strlen(REMOTE)), .value = text_of(value)};
        else
            env.items[env.count++] = (struct variable){name, json_string_value(value)};
    }
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct decision first = decide(&arena, &policy, &target, &env, DECIDE_MUTATE);
    json_t *out = json_object();
    json_object_set(out, "id", json_object_get(line, "id"));
    json_object_set_new(out, "findings", findings_json(&first.findings));
    json_object_set_new(out, "hosts", hosts(json_object_get(line, "hosts")));
    bool allowed = first.allowed;
    if (allowed) {
        apply(&first.patch, &env);
        struct decision second = decide(&arena, &policy, &target, &env, DECIDE_VALIDATE);
        allowed = second.allowed;
        json_object_set_new(out, "validate", findings_json(&second.findings));
        json_t *after = json_object();
        for (size_t i = 0; i < env.count; i++)
            json_object_set_new(after, env.items[i].name,
                                json_string(env.items[i].value));
        for (size_t i = 0; i < env.remote_count; i++)
            json_object_set_new(after, env.remote[i].name.p - strlen(REMOTE),
                                json_string(env.remote[i].value.p));
        json_object_set_new(out, "env", after);
    }
    json_object_set_new(out, "allowed", json_boolean(allowed));
    return out;
}

/* {"file", "text"}: what is read of one file of a remote configuration. */
static json_t *answer_file(const json_t *line)
{
    static const char *const ranks[] = {
        [REMOTE_FIRST] = "first", [REMOTE_BELOW] = "below", [REMOTE_LAST] = "last"};
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct remote_config config = {.known = true};
    struct remote_budget budget = {.spent = false};
    const struct kv data = {text_of(json_object_get(line, "file")),
                            text_of(json_object_get(line, "text"))};
    if (!remote_config_read(&arena, STR("nvcf"), &data, 1, &budget, &config))
        fatal("out of memory");
    json_t *properties = json_array();
    for (size_t i = 0; i < config.prop_count; i++) {
        const struct remote_prop *prop = &config.props[i];
        json_array_append_new(
            properties, json_pack("{s:s%,s:s%,s:b,s:b,s:b}", "name", prop->name.p,
                                  prop->name.n, "value", prop->value.p, prop->value.n,
                                  "unreadable", prop->unreadable, "conditional",
                                  prop->conditional, "activates", prop->activates));
    }
    return json_pack("{s:o,s:b,s:b,s:s}", "properties", properties, "problem",
                     config.problem.n > 0, "limit", config.limit.n > 0, "rank",
                     config.rank_unclear ? "unclear" : ranks[config.rank]);
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    json_object_seed(0);
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        json_error_t error;
        json_t *json = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, &error);
        if (json == NULL)
            fatal(error.text);
        json_t *out =
            json_object_get(json, "file") != NULL ? answer_file(json) : answer(json);
        if (json_dumpf(out, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF)
            fatal("cannot write");
        fflush(stdout);
        json_decref(out);
        json_decref(json);
    }
    free(line);
    return 0;
}
