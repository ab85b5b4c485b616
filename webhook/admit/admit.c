/* One admission; see admit.h. The answer is written by hand into a buffer: it is small,
 * and its bytes must be the same for the same input. */
#include "admit/admit.h"

#include "admit/judge.h"
#include "admit/patch_json.h"
#include "util/mem.h"

#define MESSAGE_MAXIMUM 16384u

static const char *decision_word(const struct judged *judged)
{
    if (!judged->concerned)
        return "skip";
    if (!judged->decision.allowed)
        return "deny";
    if (judged->decision.audited)
        return "audit";
    if (judged->decision.ratcheted)
        return "ratchet";
    return judged->patch.size > 0 ? "patch" : "allow";
}

static void write_warnings(struct arena *arena, const struct judged *judged,
                           struct buf *out)
{
    struct str warnings[DECIDE_WARNINGS_MAX + 1];
    size_t count = decide_warnings(arena, &judged->decision.findings, warnings);
    if (judged->patch_problem != NULL)
        warnings[count++] = str_of(judged->patch_problem);
    for (size_t i = 0; i < count; i++) {
        buf_text(out, i == 0 ? ",\"warnings\":[" : ",");
        buf_json_string(out, warnings[i]);
    }
    if (count > 0)
        buf_char(out, ']');
}

static void write_audit(const struct judged *judged, const struct policy *policy,
                        struct buf *out)
{
    const struct findings *findings = &judged->decision.findings;
    if (!judged->concerned)
        return;
    buf_text(out, ",\"auditAnnotations\":{\"decision\":\"");
    buf_text(out, decision_word(judged));
    buf_text(out, "\",\"findings\":\"");
    bool seen[FINDING_COUNT] = {false};
    bool first = true;
    for (size_t i = 0; i < findings_count(findings); i++) {
        enum finding_id id = findings_at(findings, i)->id;
        if (seen[id])
            continue;
        seen[id] = true;
        buf_text(out, first ? "" : ",");
        buf_text(out, finding_name(id));
        first = false;
    }
    buf_text(out, "\",\"policy\":\"");
    buf_text(out, policy->hash);
    buf_text(out, "\"}");
}

static void write_patch(const struct judged *judged, struct buf *out)
{
    if (judged->patch.size == 0)
        return;
    buf_text(out, ",\"patchType\":\"JSONPatch\",\"patch\":\"");
    patch_base64(out, buf_view(&judged->patch));
    buf_char(out, '"');
}

static bool write_answer(struct arena *arena, const struct admit_input *input,
                         const struct admit_outcome *outcome, const struct judged *judged,
                         struct buf *out, struct err *err)
{
    buf_text(out, "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                  "\"response\":{\"uid\":");
    buf_json_string(out, outcome->uid);
    buf_text(out, outcome->allowed ? ",\"allowed\":true" : ",\"allowed\":false");
    if (!outcome->allowed) {
        buf_text(out, ",\"status\":{\"code\":403,\"reason\":\"Forbidden\",\"message\":");
        buf_json_string(out, outcome->message);
        buf_char(out, '}');
    }
    write_patch(judged, out);
    write_warnings(arena, judged, out);
    write_audit(judged, input->policy, out);
    buf_text(out, "}}\n");
    if (out->failed || arena->failed)
        return err_nomem(err);
    return true;
}

static bool answer_review(struct arena *arena, const struct admit_input *input,
                          struct buf *answer, struct admit_outcome *ret_outcome,
                          struct err *err)
{
    NRW_AUTO_REVIEW struct review review = {.root = NULL};
    if (!review_read(input->body, arena->maximum, &review, err))
        return false;
    NRW_AUTO_JUDGED struct judged judged = {.patch_problem = NULL};
    if (!judge_object(arena, input, &review, &judged, err))
        return false;
    struct admit_outcome outcome = {
        .uid = arena_str(arena, review.uid),
        .kind = arena_str(arena, review.kind_name),
        .name_space = arena_str(arena, review.name_space),
        .name = arena_str(arena, review.name),
        .operation = arena_str(arena, review.operation),
        .user = arena_str(arena, review.user),
        .object_uid = arena_str(arena, review.object_uid),
        .dry_run = review.dry_run,
        .allowed = judged.decision.allowed,
        .changed = judged.patch.size > 0,
        .decision = decision_word(&judged),
        .config_map_names = judged.config_map_names,
        .config_map_count = judged.config_map_count,
        .findings = judged.decision.findings,
        .message = STR(""),
    };
    if (!outcome.allowed)
        outcome.message = decide_message(arena, &judged.decision, MESSAGE_MAXIMUM);
    if (arena->failed)
        return err_nomem(err);
    if (!write_answer(arena, input, &outcome, &judged, answer, err))
        return false;
    *ret_outcome = outcome;
    return true;
}

bool admit_review(struct arena *arena, const struct admit_input *input,
                  struct buf *answer, struct admit_outcome *ret_outcome, struct err *err)
{
    /* A library that was refused memory may call it bad syntax, or leave something out.
     * One refusal anywhere on the way is enough not to believe what came of it. */
    unsigned long refusals = mem_refusals();
    bool good = answer_review(arena, input, answer, ret_outcome, err);
    if (mem_refusals() != refusals)
        return err_nomem(err);
    if (!good && arena->full)
        return err_set(err, ERR_LIMIT,
                       "a decision on it takes more than %zu MiB: make the object "
                       "smaller, or give the webhook more memory",
                       arena->maximum >> 20);
    return good;
}
