/* Findings; see finding.h. Pure. */
#include "core/finding.h"

static const char *const names[FINDING_COUNT] = {
    [FINDING_INVALID_POLICY] = "InvalidPolicy",
    [FINDING_CONTAINER_NOT_FOUND] = "ContainerNotFound",
    [FINDING_BUILTIN_COLLISION] = "BuiltinCollision",
    [FINDING_DUPLICATE_HOSTNAME] = "DuplicateHostname",
    [FINDING_DUPLICATE_NAME] = "DuplicateName",
    [FINDING_INCOMPLETE_REGISTRY] = "IncompleteRegistry",
    [FINDING_INVALID_KEY] = "InvalidKey",
    [FINDING_INVALID_VALUE] = "InvalidValue",
    [FINDING_UNMATCHABLE_HOSTNAME] = "UnmatchableHostname",
    [FINDING_DUPLICATE_VARIABLE] = "DuplicateVariable",
    [FINDING_REMOTE_CONFIG_OVERRIDE] = "RemoteConfigOverride",
    [FINDING_VALUE_CONFLICT] = "ValueConflict",
    [FINDING_MISSING_REGISTRY] = "MissingRegistry",
    [FINDING_UNLISTED_REGISTRY] = "UnlistedRegistry",
    [FINDING_OPAQUE_SOURCE] = "OpaqueSource",
    [FINDING_UNSUPPORTED_ARTIFACT_TYPE] = "UnsupportedArtifactType",
    [FINDING_REMOVED_REGISTRY] = "RemovedRegistry",
};

const char *finding_name(enum finding_id id)
{
    return names[id];
}

const char *severity_name(enum severity severity)
{
    switch (severity) {
    case SEVERITY_ERROR:
        return "error";
    case SEVERITY_WARNING:
        return "warning";
    case SEVERITY_INFO:
        break;
    }
    return "info";
}

struct finding *findings_add(struct arena *arena, struct findings *findings,
                             enum finding_id id, enum severity severity)
{
    struct finding *finding = arena_list_add(arena, &findings->list, sizeof(*finding));
    if (finding == NULL)
        return NULL;
    *finding = (struct finding){
        .id = id,
        .severity = severity,
        .key = STR(""),
        .source = STR(""),
        .path = STR(""),
        .message = STR(""),
        .advice = STR(""),
    };
    return finding;
}

static bool before(const struct finding *a, const struct finding *b)
{
    if (a->severity != b->severity)
        return a->severity < b->severity;
    return a->id < b->id;
}

/* A stable merge through a scratch that qsort could not give; the lists are short (two
 * per registry at most), and runs that are sorted already cost one pass. */
static void merge_sort(struct finding *items, struct finding *scratch, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2;
    merge_sort(items, scratch, half);
    merge_sort(items + half, scratch, n - half);
    if (!before(&items[half], &items[half - 1]))
        return;
    memcpy(scratch, items, half * sizeof(*items));
    size_t i = 0;
    size_t j = half;
    size_t out = 0;
    while (i < half) {
        if (j < n && before(&items[j], &scratch[i]))
            items[out++] = items[j++];
        else
            items[out++] = scratch[i++];
    }
}

struct finding *findings_copy(struct arena *arena, struct findings *findings,
                              const struct finding *finding)
{
    struct finding *copy = findings_add(arena, findings, finding->id, finding->severity);
    if (copy != NULL)
        *copy = *finding;
    return copy;
}

bool findings_sort(struct arena *arena, struct findings *findings)
{
    size_t n = findings->list.count;
    if (n < 2)
        return true;
    struct finding *scratch = ARENA_ARRAY(arena, struct finding, n);
    if (scratch == NULL)
        return false;
    merge_sort(findings->list.items, scratch, n);
    return true;
}

bool findings_own(struct arena *arena, struct findings *findings)
{
    for (size_t i = 0; i < findings_count(findings); i++) {
        struct finding *finding = findings_at(findings, i);
        finding->key = arena_str(arena, finding->key);
        finding->source = arena_str(arena, finding->source);
        finding->path = arena_str(arena, finding->path);
        finding->message = arena_str(arena, finding->message);
        finding->advice = arena_str(arena, finding->advice);
    }
    return !arena->failed;
}

bool findings_any(const struct findings *findings, enum severity severity)
{
    for (size_t i = 0; i < findings_count(findings); i++) {
        if (findings_at(findings, i)->severity == severity)
            return true;
    }
    return false;
}
