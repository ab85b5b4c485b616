/* One AdmissionReview; see admission.h.
 *
 * A policy that is not there yet is 503, never "allowed": the failurePolicy of the
 * webhook's configuration is to decide what that means, not we. */
#include "app/admission.h"

#include "admit/config_maps.h"
#include "app/cluster.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/turn.h"
#include "util/utf8.h"

/* What a review may take in a worker: a third of a millisecond, about, for which others
 * wait. One that needs more is decided aside (net/aside.h), and so is one for which the
 * API server has to be asked something. */
#define DECISION_SMALL (512u << 10)
/* What is read of it may be little, but all is passed over. */
#define BODY_SMALL (256u << 10)
#define TURN_MS    500u
/* Aside, until it begins. The chart's API server closes after three seconds, and is left
 * out then; one that was told to wait longer can. */
#define WAIT_NS INT64_C(8000000000)
/* Of ConfigMaps that are read live. */
#define LOOK_SMALL (256u << 10)
#define LOOK_LARGE (4u << 20)
/* Names of objects have 253 bytes at most; a user may be as long as it likes. */
#define FIELD_MAXIMUM 512u
/* What envFrom brings, the remote configuration that it names, what a denial then rests
 * on. */
#define LOOKS 3u

static struct str field(struct str text)
{
    return str_is_null(text) ? STR("") : utf8_cut(text, FIELD_MAXIMUM);
}

/* The findings' names, each once, most serious first: "BuiltinCollision,MissingRegistry".
 */
static struct str finding_names(struct arena *arena, const struct findings *findings)
{
    bool seen[FINDING_COUNT] = {false};
    for (size_t i = 0; i < findings_count(findings); i++)
        seen[findings_at(findings, i)->id] = true;
    struct str names = STR("");
    for (size_t i = 0; i < FINDING_COUNT; i++) {
        if (seen[i])
            names =
                arena_printf(arena, "%.*s%s%s", STR_ARG(names), names.n > 0 ? "," : "",
                             finding_name((enum finding_id)i));
    }
    return names;
}

/* Never values of variables: who may read the log need not be who may read the object. */
static void log_admission(struct arena *arena, const struct admit_input *input,
                          const struct admit_outcome *outcome, int64_t nanoseconds)
{
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    log_event(LOG_LEVEL_INFO, "admission",
              LOG_C("endpoint", input->endpoint == ADMIT_MUTATE ? "mutate" : "validate"),
              LOG_S("uid", field(outcome->uid)), LOG_S("kind", field(outcome->kind)),
              LOG_S("namespace", field(outcome->name_space)),
              LOG_S("name", field(outcome->name)),
              LOG_S("operation", field(outcome->operation)),
              LOG_S("user", field(outcome->user)), LOG_B("dry_run", outcome->dry_run),
              LOG_C("decision", outcome->decision != NULL ? outcome->decision : ""),
              LOG_S("findings", finding_names(arena, &outcome->findings)),
              LOG_C("policy", input->policy->hash),
              LOG_I("duration_us", nanoseconds / 1000));
}

static void count(struct metrics *metrics, const struct admit_input *input,
                  const struct admit_outcome *outcome, const char *decision,
                  int64_t nanoseconds)
{
    metrics_admission(metrics,
                      input->endpoint == ADMIT_MUTATE ? METRICS_MUTATE : METRICS_VALIDATE,
                      field(outcome->kind), field(outcome->operation), decision,
                      outcome->dry_run, nanoseconds);
    for (size_t i = 0; i < findings_count(&outcome->findings); i++) {
        enum finding_id id = findings_at(&outcome->findings, i)->id;
        metrics_finding(metrics, (unsigned)id, finding_name(id));
    }
}

static unsigned status_of(enum err_code code)
{
    switch (code) {
    case ERR_SYNTAX:
    case ERR_INVALID:
        return 400;
    case ERR_LIMIT:
        return 413;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

/* The review could not be answered as one. */
static void answer_error(struct handlers *handlers, const struct admit_input *input,
                         const struct err *why, struct net_response *response,
                         int64_t nanoseconds)
{
    unsigned status = status_of(why->code);
    const struct admit_outcome nothing = {.dry_run = false};
    count(handlers->metrics, input, &nothing, "error", nanoseconds);
    log_event(LOG_LEVEL_WARN, "request refused", LOG_I("status", status),
              LOG_C("reason", why->message));
    handlers_error(handlers, response, status, why->message);
}

/* Helm writes a ConfigMap milliseconds before the Deployment that refers to it, and the
 * watch may be later than that: what a denial rested on is looked at once more, live, and
 * decided again when it was old. So is what the cache does not keep: a ConfigMap of any
 * other name. What is found may name more (a remote configuration), or make a denial. So
 * does what is too large to be read even in the turn: anything may be behind it. And what
 * the API server does not tell of, or is not asked for any more, is not absent: it is
 * decided again with that known. */
static bool confirm(struct handlers *handlers, const struct admit_input *input,
                    bool in_turn, struct arena *arena, struct buf *answer,
                    struct admit_outcome *outcome, struct err *err)
{
    struct cluster_look look = {.bytes_maximum = in_turn ? LOOK_LARGE : LOOK_SMALL,
                                .weight_maximum = arena->maximum,
                                .apart = in_turn};
    struct admit_input again = *input;
    NRW_AUTO_CONFIG_MAPS struct config_maps *fresh = NULL;
    bool good = true;
    for (unsigned i = 0; good && i < LOOKS && outcome->config_map_count > 0; i++) {
        struct config_maps *newer = cluster_confirm(
            handlers->cluster, &look, again.config_maps, outcome->name_space,
            outcome->config_map_names, outcome->config_map_count);
        if (look.limited && !in_turn) {
            config_maps_free(newer);
            return err_set(err, ERR_LIMIT, "the ConfigMaps that it refers to are large");
        }
        if (newer == NULL && !look.limited && !look.untold)
            break; /* what was decided holds */
        if (newer != NULL) {
            config_maps_free(fresh);
            fresh = newer;
            again.config_maps = fresh;
        }
        again.config_maps_beyond = look.limited;
        again.live = &look.live;
        look.live.closed = look.live.closed || i + 1 == LOOKS;
        buf_clear(answer);
        good = admit_review(arena, &again, answer, outcome, err);
        if (look.limited)
            break; /* nothing more is read */
    }
    return good;
}

/* In which of the three threads this runs, the request says; so, what it may take, and
 * whether there is time for the API server. */
static bool decide(struct handlers *handlers, const struct admit_input *input,
                   const struct net_request *request, struct arena *arena, bool *ret_turn,
                   struct buf *answer, struct admit_outcome *outcome, struct err *err)
{
    const bool first = request->said == NET_ANSWERED, in_turn = request->said == NET_LONG;
    bool late = !first && clock_mono_nanos() - request->since > WAIT_NS;
    if (!late && in_turn)
        late = !(*ret_turn = turn_take(TURN_MS));
    if (late)
        return err_set(err, ERR_UNAVAILABLE,
                       "other reviews that take long have been in the way: try again");
    arena_init(arena, in_turn ? handlers->decision : DECISION_SMALL);
    *outcome = (struct admit_outcome){.dry_run = false};
    bool answered = admit_review(arena, input, answer, outcome, err);
    if (answered && !first && handlers->cluster != NULL)
        answered = confirm(handlers, input, in_turn, arena, answer, outcome, err);
    return answered && (!answer->failed || err_nomem(err));
}

static enum net_handled answer(struct handlers *handlers, enum admit_endpoint endpoint,
                               const struct net_request *request,
                               struct net_response *response)
{
    NRW_AUTO_SNAPSHOT struct snapshot snapshot;
    snapshots_take(handlers->snapshots, &snapshot);
    const struct admit_input input = {
        .endpoint = endpoint,
        .body = request->body,
        .policy = snapshot.policy,
        .config_maps = snapshot.config_maps,
        .policy_namespace = handlers->policy_namespace,
        .policy_name = handlers->policy_name,
    };
    if (input.policy == NULL) {
        const struct admit_outcome nothing = {.dry_run = false};
        count(handlers->metrics, &input, &nothing, "unavailable",
              clock_mono_nanos() - request->since);
        handlers_error(handlers, response, 503, "no policy was accepted yet");
        return NET_ANSWERED;
    }
    NRW_AUTO_TURN bool turn = false;
    /* Done before the turn is over. */
    NRW_AUTO_ARENA struct arena arena = {.blocks = NULL};
    struct admit_outcome outcome;
    struct err err = {0};
    bool answered =
        decide(handlers, &input, request, &arena, &turn, &response->body, &outcome, &err);
    enum net_handled handled = NET_ANSWERED;
    if (!answered && err.code == ERR_LIMIT && request->said != NET_LONG)
        handled = NET_LONG;
    else if (answered && request->said == NET_ANSWERED && handlers->cluster != NULL &&
             outcome.config_map_count > 0)
        handled = NET_WAITS; /* confirm() has something to look at */
    if (handled != NET_ANSWERED) {
        buf_clear(&response->body);
        return handled;
    }
    int64_t took = clock_mono_nanos() - request->since;
    if (!answered) {
        answer_error(handlers, &input, &err, response, took);
        return NET_ANSWERED;
    }
    count(handlers->metrics, &input, &outcome, outcome.decision, took);
    log_admission(&arena, &input, &outcome, took);
    if (handlers->cluster != NULL)
        cluster_tell(handlers->cluster, &outcome);
    return NET_ANSWERED;
}

enum net_handled admission_answer(struct handlers *handlers, enum admit_endpoint endpoint,
                                  const struct net_request *request,
                                  struct net_response *response)
{
    if (request->body.n > BODY_SMALL && request->said != NET_LONG)
        return NET_LONG;
    metrics_in_flight(handlers->metrics, 1);
    enum net_handled handled = answer(handlers, endpoint, request, response);
    metrics_in_flight(handlers->metrics, -1);
    return handled;
}
