/* Planning for self-managed certificates; see plan.h for the idea. Pure.
 *
 * Order matters: first what is broken, then what someone else may have broken
 * (caBundles), then the way through a CA rotation, then renewals, then tidying up.
 * Everything that is decided here rests on validity times that are in the certificates,
 * so nothing needs to be remembered over a restart. */
#include "certs/plan.h"

/* At two thirds of a life, counted from the issue and not from the backdated beginning: a
 * life of minutes, as in tests, must not be over before it begins. */
static int64_t renewal_time(const struct plan_times *times, int64_t not_before,
                            int64_t not_after)
{
    int64_t issued = not_before + times->backdate;
    if (issued >= not_after)
        issued = not_before;
    return issued + (not_after - issued) / 3 * 2;
}

static bool ca_valid(const struct plan_ca *ca, int64_t now)
{
    return ca->not_before <= now && now < ca->not_after;
}

/* The newest CA that can sign. */
static int find_signer(const struct plan_state *state)
{
    for (size_t i = 0; i < state->ca_count; i++) {
        if (state->cas[i].has_key && ca_valid(&state->cas[i], state->now))
            return (int)i;
    }
    return PLAN_NONE;
}

/* Whether an API server that has the bundle would accept the leaf at all. */
static bool leaf_valid(const struct plan_state *state)
{
    return state->leaf_usable && state->leaf_not_before <= state->now &&
           state->now < state->leaf_not_after && state->leaf_issuer != PLAN_NONE &&
           ca_valid(&state->cas[state->leaf_issuer], state->now);
}

/* CAs that a new one has to stand beside: not expired, newest first, the leaf's own in
 * any case, and one place left free. */
static unsigned still_needed(const struct plan_state *state)
{
    bool leaf_has_one = state->leaf_issuer != PLAN_NONE;
    size_t room = PLAN_CAS_MAXIMUM - 1 - (leaf_has_one ? 1u : 0u);
    unsigned keep = leaf_has_one ? 1u << state->leaf_issuer : 0;
    for (size_t i = 0; i < state->ca_count && room > 0; i++) {
        if (state->now >= state->cas[i].not_after || (int)i == state->leaf_issuer)
            continue;
        keep |= 1u << i;
        room--;
    }
    return keep;
}

/* When the last leaf has expired that a CA other than the signer can have signed, and a
 * little more, because the clock that issued and the one that drops may differ. */
static int64_t drop_time(const struct plan_state *state, const struct plan_times *times,
                         int ca, int signer)
{
    int64_t expiry = state->cas[ca].not_after;
    int64_t last = state->cas[signer].not_before + times->backdate +
                   times->leaf_lifetime + times->leaf_lifetime / 10;
    return last < expiry ? last : expiry;
}

static unsigned droppable(const struct plan_state *state, const struct plan_times *times,
                          int signer, int64_t *due)
{
    unsigned drop = 0;
    for (int i = 0; i < (int)state->ca_count; i++) {
        if (i == signer || i == state->leaf_issuer)
            continue;
        int64_t when = drop_time(state, times, i, signer);
        if (when <= state->now)
            drop |= 1u << i;
        else if (when < *due)
            *due = when;
    }
    return drop;
}

static struct plan plan(enum plan_action action, int signer, unsigned keep, int64_t due,
                        const char *reason)
{
    return (struct plan){action, signer, keep, due, reason};
}

/* A leaf of now would outlive the present one; else renewing it again and again helps
 * nobody, and the CA's own rotation comes. */
static bool renewal_helps(const struct plan_state *state, const struct plan_times *times,
                          int signer)
{
    int64_t not_after = state->now + times->leaf_lifetime;
    if (not_after > state->cas[signer].not_after)
        not_after = state->cas[signer].not_after;
    return not_after > state->leaf_not_after;
}

/* The signer is newer than the CA of the leaf: a rotation is under way. */
static struct plan plan_move(const struct plan_state *state,
                             const struct plan_times *times, int signer, unsigned all)
{
    if (state->cas[signer].published &&
        state->signer_published_for >= times->settle_seconds)
        return plan(PLAN_ISSUE_LEAF, signer, all, state->now,
                    "the new CA is published, the leaf moves to it");
    int64_t left = times->settle_seconds - state->signer_published_for;
    return plan(PLAN_WAIT, signer, all,
                state->now +
                    (state->cas[signer].published ? left : times->settle_seconds),
                "waiting until API servers have seen the new CA");
}

struct plan plan_next(const struct plan_state *state, const struct plan_times *times)
{
    int signer = find_signer(state);
    unsigned all = (1u << state->ca_count) - 1;
    bool valid = leaf_valid(state);
    int64_t now = state->now;
    if (signer == PLAN_NONE && valid)
        return plan(PLAN_ISSUE_CA, signer, still_needed(state), now,
                    "no CA here can sign: its key is missing or it has expired");
    if (signer == PLAN_NONE)
        return plan(PLAN_ISSUE_ALL, signer, still_needed(state), now,
                    "there is no CA that can sign and no valid leaf");
    if (!valid)
        return plan(PLAN_ISSUE_LEAF, signer, all, now,
                    "the leaf is missing, expired, not valid yet or not for these names");

    bool moving = state->leaf_issuer != signer;
    int64_t leaf_due = renewal_time(times, state->leaf_not_before, state->leaf_not_after);
    int64_t ca_due =
        renewal_time(times, state->cas[signer].not_before, state->cas[signer].not_after);
    if (!moving && leaf_due <= now && renewal_helps(state, times, signer))
        return plan(PLAN_ISSUE_LEAF, signer, all, now,
                    "two thirds of the leaf's life are over");
    if (!state->bundle_exact && !state->cannot_publish)
        return plan(PLAN_PUBLISH, signer, all, now,
                    "a caBundle is not what it should be");
    if (moving)
        return plan_move(state, times, signer, all);
    if (ca_due <= now)
        return plan(PLAN_ISSUE_CA, signer, still_needed(state), now,
                    "two thirds of the CA's life are over");

    int64_t due = leaf_due > now && leaf_due < ca_due ? leaf_due : ca_due;
    unsigned drop = droppable(state, times, signer, &due);
    if (drop != 0)
        return plan(PLAN_DROP_CA, signer, all & ~drop, now,
                    "no leaf of the old CA can be in use any more");
    return plan(PLAN_WAIT, signer, all, due, "nothing to do");
}

bool plan_may_serve(const struct plan_state *state, const struct plan_times *times,
                    bool have)
{
    if (!state->leaf_usable)
        return false;
    if (!have)
        return true;
    if (!leaf_valid(state) || !state->cas[state->leaf_issuer].published)
        return false;
    return state->leaf_issuer != find_signer(state) ||
           state->signer_published_for >= times->settle_seconds;
}

int64_t plan_serve_due(const struct plan_state *state, const struct plan_times *times)
{
    if (!leaf_valid(state) || !state->cas[state->leaf_issuer].published)
        return INT64_MAX;
    int64_t left = times->settle_seconds - state->signer_published_for;
    return state->leaf_issuer != find_signer(state) || left <= 0 ? state->now
                                                                 : state->now + left;
}

const char *plan_action_name(enum plan_action action)
{
    static const char *const names[] = {"wait",       "issue-all", "issue-ca",
                                        "issue-leaf", "drop-ca",   "publish"};
    return (unsigned)action < sizeof(names) / sizeof(names[0]) ? names[action] : "?";
}
