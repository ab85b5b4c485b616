/* One object judged; see judge.h. */
#include "admit/judge.h"

#include "admit/object.h"
#include "admit/patch_json.h"
#include "admit/remote_maps.h"
#include "policy/policy_load.h"
#include "policy/remote.h"

/* Of 256 registries with the longest names half a MiB. */
#define PATCH_MAXIMUM (4u * 1024u * 1024u)

void judged_done(struct judged *judged)
{
    buf_done(&judged->patch);
}

/* More than are ever looked at, so that a review of a hundred thousand names does not
 * compare each with all. */
#define NAMES_MAXIMUM (4 * LIVE_MAXIMUM)

/* The ConfigMaps to look at live. */
struct to_look_at {
    struct arena *arena;
    const struct config_maps *known;
    struct str name_space;
    bool all; /* also those that are known */
    struct arena_list names;
};

static bool note_name(struct to_look_at *to, struct str name)
{
    if (str_is_null(name) || name.n == 0 || to->names.count == NAMES_MAXIMUM)
        return true;
    if (!to->all && to->known != NULL &&
        config_maps_find(to->known, to->name_space, name) != NULL)
        return true;
    for (size_t i = 0; i < to->names.count; i++) {
        if (str_eq(((const struct str *)to->names.items)[i], name))
            return true;
    }
    struct str *slot = arena_list_add(to->arena, &to->names, sizeof(*slot));
    if (slot == NULL)
        return false;
    *slot = arena_str(to->arena, name);
    return !to->arena->failed;
}

/* Of a profile's sibling that the cache would keep, absence there is knowledge: it is no
 * reason for a call at each admission. */
static bool note_sibling(struct to_look_at *to, struct str name)
{
    if (to->known != NULL && config_maps_is_whole(to->known) && remote_maps_named(name) &&
        config_maps_find(to->known, to->name_space, name) == NULL)
        return true;
    return note_name(to, name);
}

/* For a denial all that it can rest on, to be looked at once more before it is said;
 * otherwise what is not known, since only some names are kept (kube/sources.h). The
 * remote configuration comes first: it outranks the others, and only so many are looked
 * at. Variables that say nothing about registries are worth no call. */
static bool note_config_maps(struct arena *arena, const struct admit_input *input,
                             const struct policy_target *target,
                             const struct workload *workload, struct judged *judged)
{
    const struct container_spec *container = &workload->container;
    struct to_look_at to = {.arena = arena,
                            .known = input->config_maps,
                            .name_space = workload->name_space,
                            .all = !judged->decision.allowed};
    bool good = true;
    for (size_t i = 0; i < workload->remote_name_count && good; i++)
        good = (i == 0 ? note_name : note_sibling)(&to, workload->remote_names[i]);
    for (size_t i = 0; i < container->env_from_count && good; i++)
        good = note_name(&to, container->env_from[i].cm_name);
    for (size_t i = 0; i < container->env_count && good; i++) {
        const struct env_var *var = &container->env[i];
        if (!str_is_null(var->cm_name) && object_reads(target->prefix, var->name))
            good = note_name(&to, var->cm_name);
    }
    judged->config_map_names = to.names.items;
    judged->config_map_count = to.names.count;
    return good;
}

static bool make_patch(struct review *review, struct judged *judged, struct err *err)
{
    if (judged->decision.patch.ops.count == 0)
        return true;
    if (patch_apply(review->object, &judged->decision.patch, NULL)) {
        patch_render(&judged->decision.patch, &judged->patch);
        return !judged->patch.failed || err_nomem(err);
    }
    /* A patch that does not apply fails the user's request whatever failurePolicy says
     * (admission-contract.md, part 2): rather none, and a warning. */
    judged->patch_problem =
        "the registries were not injected: the patch did not apply to the "
        "object as it came (please report this)";
    return true;
}

static bool judge_deployment(struct arena *arena, const struct admit_input *input,
                             struct review *review, struct judged *judged,
                             struct err *err)
{
    const struct policy_target *target = object_target(
        arena, input->policy, review->name_space, review->object, review->old_object);
    if (target == NULL)
        return !arena->failed || err_nomem(err);
    judged->concerned = true;
    judged->target = target->prefix;
    struct workload workload;
    enum decide_phase phase =
        input->endpoint == ADMIT_MUTATE ? DECIDE_MUTATE : DECIDE_VALIDATE;
    if (!object_workload(arena, target, review->name_space, review->object,
                         review->old_object, input->config_maps, input->live, &workload))
        return err_nomem(err);
    workload.beyond = workload.beyond || input->config_maps_beyond;
    /* What was no target before was never judged: its faults are not old ones. Otherwise
     * a label taken off, a change, and the label put back would lead past the policy. */
    workload.unchanged =
        workload.unchanged && object_target(arena, input->policy, review->name_space,
                                            review->old_object, NULL) == target;
    if (!decide_deployment(arena, input->policy, target, &workload, phase,
                           &judged->decision))
        return err_nomem(err);
    /* The patch frees what it replaces, and findings quote it. */
    return note_config_maps(arena, input, target, &workload, judged) &&
                   findings_own(arena, &judged->decision.findings)
               ? make_patch(review, judged, err)
               : err_nomem(err);
}

static bool judge_policy(struct arena *arena, struct str text, struct judged *judged,
                         struct err *err)
{
    judged->concerned = true;
    NRW_AUTO_POLICY_DOC struct policy_doc *doc = policy_doc_new(text, err);
    if (doc == NULL)
        return false;
    judged->decision.allowed = doc->policy != NULL;
    for (size_t i = 0; i < findings_count(&doc->findings); i++) {
        if (findings_copy(arena, &judged->decision.findings,
                          findings_at(&doc->findings, i)) == NULL)
            return err_nomem(err);
    }
    return findings_own(arena, &judged->decision.findings) || err_nomem(err);
}

static bool missing_policy(struct arena *arena, struct judged *judged, struct err *err)
{
    judged->concerned = true;
    struct finding *finding = findings_add(arena, &judged->decision.findings,
                                           FINDING_INVALID_POLICY, SEVERITY_ERROR);
    if (finding == NULL)
        return err_nomem(err);
    judged->decision.allowed = false;
    finding->source = STR("policy");
    finding->path = STR("data");
    finding->message = STR("the policy's ConfigMap has no data key " POLICY_DATA_KEY);
    finding->advice = STR("write the policy under " POLICY_DATA_KEY);
    return true;
}

static bool is_policy(const struct admit_input *input, const struct review *review,
                      struct str name, struct str text)
{
    if (!str_is_null(input->policy_name) && input->policy_name.n > 0)
        return str_eq(name, input->policy_name) &&
               str_eq(review->name_space, input->policy_namespace);
    return str_eq(name, STR(POLICY_CONFIGMAP)) ||
           (!str_is_null(text) && str_find(text, STR(POLICY_API_VERSION)) < text.n);
}

/* What a ConfigMap alone is judged as. */
enum { AS_ENV = 1, AS_REMOTE = 2 };

static bool has_files(const struct config_map *map)
{
    for (size_t i = 0; i < map->data_count; i++) {
        if (remote_config_is_file(map->data[i].key))
            return true;
    }
    return false;
}

/* By its name it is the remote configuration or an environment, as the charts name them
 * (nvcf-facts.md, part 1). One of another name, which the webhook's configuration sends
 * because somebody listed it, is an environment, and where it has files a remote
 * configuration too: only the Deployment that refers to it knows. */
static unsigned ways_of(const struct config_map *map, unsigned by_name)
{
    return (by_name & AS_REMOTE) != 0 || !has_files(map) ? by_name : AS_ENV | AS_REMOTE;
}

struct alone {
    const struct config_map *map, *old_map; /* the latter may be NULL */
    const struct config_map *base; /* a profile's sibling completes it; or NULL */
    struct str base_beyond; /* the base's name, where it is too large to be read; or "" */
    struct str base_untold; /* why it could not be read otherwise; or "" */
    unsigned by_name;       /* AS_…; both: "…-remote-config-env" can be either */
};

static bool judge_as_env(struct arena *arena, const struct admit_input *input,
                         const struct policy_target *target, const struct alone *alone,
                         struct decision *ret_decision, bool *ret_concerned)
{
    const struct config_map_input map = {
        .prefix = target->prefix,
        .config_map = alone->map,
        .old_config_map = alone->old_map,
    };
    return decide_config_map(arena, input->policy, &map, ret_decision, ret_concerned);
}

/* A sibling may change half of what its base says, and the base's own faults are no fault
 * of one that is new. */
static bool put_on_base(struct arena *arena, struct str prefix, const struct alone *alone,
                        struct remote_budget *budget, struct remote_config *remote,
                        struct remote_config *old_remote)
{
    struct remote_config base;
    if (!remote_maps_read_one(arena, prefix, alone->base, budget, &base))
        return false;
    base.data = NULL;
    base.data_count = 0;
    const struct remote_config own = *remote, old_own = *old_remote;
    *remote = *old_remote = base;
    return remote_maps_join(arena, alone->map, &own, true, remote) &&
           (alone->old_map == NULL ||
            remote_maps_join(arena, alone->old_map, &old_own, true, old_remote));
}

static bool says_any(const struct remote_config *remote)
{
    return remote->prop_count > 0 || remote->ranked;
}

static bool judge_as_remote(struct arena *arena, const struct admit_input *input,
                            const struct policy_target *target, const struct alone *alone,
                            struct decision *ret_decision, bool *ret_concerned)
{
    struct remote_config remote, old_remote = {.prop_count = 0};
    struct remote_budget budget = {.spent = false}, old_budget = {.spent = false};
    bool has_old = alone->old_map != NULL;
    if (!remote_maps_read_one(arena, target->prefix, alone->map, &budget, &remote) ||
        (has_old && !remote_maps_read_one(arena, target->prefix, alone->old_map,
                                          &old_budget, &old_remote)))
        return false;
    const bool completes = says_any(&remote) || says_any(&old_remote);
    if (completes && alone->base_beyond.n > 0)
        remote_config_tell(arena, &remote.limit, alone->base_beyond, ": ",
                           STR("it is larger than what is looked at here"));
    if (completes && alone->base_untold.n > 0) {
        remote.untold = remote_maps_base(alone->map->name);
        remote.untold_why = alone->base_untold;
        remote.untold_count = 1;
    }
    if (completes && alone->base != NULL) {
        if (!put_on_base(arena, target->prefix, alone, &budget, &remote, &old_remote))
            return false;
        has_old = true;
    }
    /* A file that cannot be read is nobody's fault where nothing says that it is the
     * API's. */
    *ret_concerned = false;
    if ((alone->by_name & AS_REMOTE) == 0 && remote.prop_count == 0)
        return true;
    /* Another ConfigMap of the same configuration may say otherwise of its place, or be
     * taken away: a fault is one wherever it stands. But who moves what is there to a
     * place where it counts more is not just leaving it as it was. */
    const bool moved = has_old && remote.rank < old_remote.rank;
    remote.rank = old_remote.rank = REMOTE_FIRST;
    const struct config_map_input map = {
        .prefix = target->prefix,
        .remote = &remote,
        .old_remote = has_old && !moved ? &old_remote : NULL,
    };
    return decide_config_map(arena, input->policy, &map, ret_decision, ret_concerned);
}

/* Which target's decision is answered, where there are several: a denial, then one that
 * has something to say, then that of the labels. The labels alone do not do: who edits
 * the ConfigMap writes them too. */
static int weight(const struct decision *decision, bool by_label)
{
    return (decision->allowed ? 0 : 4) +
           (findings_count(&decision->findings) > 0 ? 2 : 0) + (by_label ? 1 : 0);
}

static bool judge_ways(struct arena *arena, const struct admit_input *input,
                       const struct policy_target *target, const struct alone *alone,
                       bool by_label, int *heaviest, struct judged *judged)
{
    unsigned ways = ways_of(alone->map, alone->by_name);
    for (unsigned way = AS_ENV; way <= AS_REMOTE; way <<= 1) {
        struct decision decision = {.allowed = true};
        bool concerned = false;
        if ((ways & way) == 0)
            continue;
        if (!(way == AS_ENV ? judge_as_env : judge_as_remote)(arena, input, target, alone,
                                                              &decision, &concerned))
            return false;
        int heavy = weight(&decision, by_label);
        if ((!concerned && !by_label) || heavy <= *heaviest)
            continue;
        *heaviest = heavy;
        judged->concerned = true;
        judged->target = target->prefix;
        judged->decision = decision;
    }
    return true;
}

/* Its name, where a sibling's base is not known and yet may be there: the cache leaves
 * some out. An update that changes no data is judged the same without it. */
static struct str unseen_base(const struct admit_input *input,
                              const struct review *review, const struct alone *alone,
                              struct str base)
{
    bool absent = input->config_maps != NULL && config_maps_is_whole(input->config_maps);
    const json_t *data = json_object_get(review->object, "data");
    const json_t *old = json_object_get(review->old_object, "data");
    bool same = alone->old_map != NULL && (data == old || json_equal(data, old) == 1);
    return str_is_null(base) || alone->base != NULL || absent || same ? STR("") : base;
}

/* To be looked at live, and then it is judged again. */
static bool note_base(struct arena *arena, const struct review *review, struct str base,
                      struct judged *judged)
{
    struct to_look_at to = {.arena = arena, .name_space = review->name_space};
    bool good = note_name(&to, base);
    judged->config_map_names = to.names.items;
    judged->config_map_count = to.names.count;
    return good;
}

static bool judge_config_map(struct arena *arena, const struct admit_input *input,
                             struct review *review, struct judged *judged,
                             struct err *err)
{
    struct str text =
        object_text(json_object_get(review->object, "data"), POLICY_DATA_KEY);
    if (is_policy(input, review, review->name, text))
        return str_is_null(text) ? missing_policy(arena, judged, err)
                                 : judge_policy(arena, text, judged, err);
    struct config_map map;
    struct config_map old_map;
    bool has_old = review->old_object != NULL;
    if (!object_config_map(arena, review->name_space, review->object, &map) ||
        (has_old &&
         !object_config_map(arena, review->name_space, review->old_object, &old_map)))
        return err_nomem(err);
    map.name = review->name;
    bool is_remote = remote_maps_named(map.name);
    bool is_env = str_ends(map.name, STR("-env"));
    struct str base = remote_maps_base(map.name);
    struct alone alone = {
        .map = &map,
        .old_map = has_old ? &old_map : NULL,
        .base = str_is_null(base) || input->config_maps == NULL
                    ? NULL
                    : config_maps_find(input->config_maps, review->name_space, base),
        .base_beyond = STR(""),
        .base_untold = STR(""),
        .by_name = (is_remote ? AS_REMOTE : 0u) | (is_env || !is_remote ? AS_ENV : 0u)};
    const struct str unseen = unseen_base(input, review, &alone, base);
    if (input->config_maps_beyond)
        alone.base_beyond = unseen;
    else if (unseen.n > 0)
        alone.base_untold = live_problem(input->live, unseen);
    /* One of another name that says nothing about registries is not looked at, whoever
     * labels it. */
    const struct policy_target *by_label =
        is_remote || is_env ? object_target(arena, input->policy, review->name_space,
                                            review->object, review->old_object)
                            : NULL;
    int heaviest = -1;
    bool any = false;
    for (size_t i = 0; i < input->policy->target_count; i++) {
        const struct policy_target *target = &input->policy->targets[i];
        if (!str_eq(target->name_space, review->name_space))
            continue;
        any = true;
        if (!judge_ways(arena, input, target, &alone, target == by_label, &heaviest,
                        judged))
            return err_nomem(err);
    }
    if (any && !note_base(arena, review, unseen, judged))
        return err_nomem(err);
    return findings_own(arena, &judged->decision.findings) || err_nomem(err);
}

bool judge_object(struct arena *arena, const struct admit_input *input,
                  struct review *review, struct judged *ret_judged, struct err *err)
{
    NRW_AUTO_JUDGED struct judged judged = {
        .target = str_null(),
        .decision = {.allowed = true},
    };
    buf_init(&judged.patch, PATCH_MAXIMUM);
    bool judges = review->object != NULL && !object_is_deleted(review->object) &&
                  !review->has_subresource &&
                  (str_eq(review->operation, STR("CREATE")) ||
                   str_eq(review->operation, STR("UPDATE")));
    bool good = true;
    if (judges && review->kind == REVIEW_DEPLOYMENT)
        good = judge_deployment(arena, input, review, &judged, err);
    else if (judges && review->kind == REVIEW_CONFIG_MAP &&
             input->endpoint == ADMIT_VALIDATE)
        good = judge_config_map(arena, input, review, &judged, err);
    if (!good)
        return false;
    *ret_judged = judged;
    judged.patch = (struct buf){.data = NULL}; /* the caller's now */
    return true;
}
