/* A decision in words: the message of a denial and the lines of warnings; see decide.h.
 * Pure. */
#include "core/decide.h"
#include "util/utf8.h"

#define WARNING_MAXIMUM 256u

/* The API server drops a warning with a control character without a word
 * (admission-contract.md, part 2), so they become spaces; so do bytes that are not UTF-8.
 */
static struct str clean(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    if (out == NULL)
        return STR("");
    size_t i = 0;
    while (i < text.n) {
        if (text.p[i] >= 0x20 && text.p[i] < 0x7f) {
            out[i] = text.p[i];
            i++;
            continue;
        }
        size_t length = utf8_length(str_skip(text, i));
        unsigned char c = (unsigned char)text.p[i];
        bool bad = length == 0 || c < 0x20 || c == 0x7f;
        /* U+0080 to U+009F are control characters too. */
        bool c1 = length == 2 && c == 0xc2 && (unsigned char)text.p[i + 1] < 0xa0;
        size_t step = length > 0 ? length : 1;
        for (size_t k = 0; k < step; k++)
            out[i + k] = bad || c1 ? ' ' : text.p[i + k];
        i += step;
    }
    return str_from(out, text.n);
}

static struct str limit(struct arena *arena, struct str text, size_t maximum)
{
    if (text.n <= maximum)
        return text;
    static const struct str more = STR("…");
    struct str cut = utf8_cut(text, maximum - more.n);
    return arena_printf(arena, "%.*s%.*s", STR_ARG(cut), STR_ARG(more));
}

static struct str sentence(struct arena *arena, const struct finding *finding)
{
    struct str where = STR("");
    if (finding->line > 0) /* of a policy: at kubectl apply this is all the admin sees */
        where =
            arena_printf(arena, " (line %u, column %u)", finding->line, finding->column);
    else if (finding->source.n > 0 && !str_eq(finding->source, STR("policy")))
        where = arena_printf(arena, " (%.*s)", STR_ARG(finding->source));
    const struct str parts[] = {str_of(finding_name(finding->id)),
                                finding->key.n > 0 ? STR(" ") : STR(""),
                                finding->key,
                                where,
                                STR(": "),
                                finding->message,
                                finding->advice.n > 0 ? STR(". Instead: ") : STR(""),
                                finding->advice};
    return arena_join(arena, parts, NRW_COUNT(parts));
}

struct str decide_warning(struct arena *arena, const struct finding *finding)
{
    return limit(arena, clean(arena, sentence(arena, finding)), WARNING_MAXIMUM);
}

size_t decide_warnings(struct arena *arena, const struct findings *findings,
                       struct str ret_warnings[DECIDE_WARNINGS_MAX])
{
    size_t all = 0;
    for (size_t i = 0; i < findings_count(findings); i++)
        all += findings_at(findings, i)->severity == SEVERITY_WARNING;
    size_t shown = all <= DECIDE_WARNINGS_MAX ? all : DECIDE_WARNINGS_MAX - 1;
    size_t count = 0;
    for (size_t i = 0; count < shown; i++) {
        if (findings_at(findings, i)->severity == SEVERITY_WARNING)
            ret_warnings[count++] = decide_warning(arena, findings_at(findings, i));
    }
    if (shown < all)
        ret_warnings[count++] =
            arena_printf(arena,
                         "and %zu more warnings of the registry policy; "
                         "`nvcf-registry-webhook review` prints every finding",
                         all - shown);
    return count;
}

struct str decide_message(struct arena *arena, const struct decision *decision,
                          size_t maximum)
{
    const struct findings *findings = &decision->findings;
    size_t errors = 0;
    for (size_t i = 0; i < findings_count(findings); i++)
        errors += findings_at(findings, i)->severity == SEVERITY_ERROR;
    struct str text =
        arena_printf(arena, "the registry policy refuses this for %zu reason%s:", errors,
                     errors == 1 ? "" : "s");
    struct arena_list parts = {.items = NULL};
    struct str *part = arena_list_add(arena, &parts, sizeof(*part));
    if (part == NULL)
        return text;
    *part = text;
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        part = arena_list_add(arena, &parts, sizeof(*part));
        if (part == NULL)
            return text;
        *part = arena_printf(arena, "\n- %s%.*s",
                             finding->severity == SEVERITY_ERROR     ? ""
                             : finding->severity == SEVERITY_WARNING ? "(warning) "
                                                                     : "(info) ",
                             STR_ARG(clean(arena, sentence(arena, finding))));
    }
    return limit(arena, arena_join(arena, parts.items, parts.count), maximum);
}
