/* The plan: a table of situations, and ten simulated years with three replicas whose
 * steps interleave, whose clocks are off, that sleep, and that are disturbed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "certs/plan.h"
#include "util/attr.h"

#define DAY  INT64_C(86400)
#define YEAR (365 * DAY)
#define T0   INT64_C(1800000000)

static const struct plan_times times = {.ca_lifetime = YEAR,
                                        .leaf_lifetime = 30 * DAY,
                                        .backdate = 300,
                                        .settle_seconds = 30};

/* --- single situations
 * ------------------------------------------------------------------ */

/* One CA and its leaf, both issued at T0 and published. */
static struct plan_state steady(int64_t now)
{
    return (struct plan_state){
        .now = now,
        .cas = {{T0 - 300, T0 + YEAR, true, true}},
        .ca_count = 1,
        .leaf_usable = true,
        .leaf_not_before = T0 - 300,
        .leaf_not_after = T0 + 30 * DAY,
        .leaf_issuer = 0,
        .bundle_exact = true,
        .signer_published_for = 1000,
    };
}

/* A rotation under way: cas[0] is new and signs, the leaf is of cas[1]. */
static struct plan_state rotating(int64_t now)
{
    return (struct plan_state){
        .now = now,
        .cas = {{now - 300, now + YEAR, true, true}, {T0, T0 + YEAR, false, true}},
        .ca_count = 2,
        .leaf_usable = true,
        .leaf_not_before = now - DAY,
        .leaf_not_after = now + 29 * DAY,
        .leaf_issuer = 1,
        .bundle_exact = true,
        .signer_published_for = 30,
    };
}

static void expect(const struct plan_state *state, enum plan_action action, unsigned keep,
                   const char *what)
{
    struct plan plan = plan_next(state, &times);
    if (plan.action != action)
        fail_msg("%s: %s (%s), not %s", what, plan_action_name(plan.action), plan.reason,
                 plan_action_name(action));
    if (plan.keep != keep)
        fail_msg("%s: keep is %x, not %x", what, plan.keep, keep);
    assert_true(plan.action == PLAN_WAIT ? plan.due > state->now
                                         : plan.due == state->now);
}

static void beginnings(void **state)
{
    (void)state;
    struct plan_state s = {.now = T0, .leaf_issuer = PLAN_NONE};
    expect(&s, PLAN_ISSUE_ALL, 0, "nothing at all");
    assert_false(plan_may_serve(&s, &times, false));
    s = steady(T0);
    expect(&s, PLAN_WAIT, 1, "fresh");
    s.bundle_exact = s.cas[0].published = false;
    expect(&s, PLAN_PUBLISH, 1, "not published yet");
    s.cannot_publish = true;
    expect(&s, PLAN_WAIT, 1, "cannot publish");
    s = steady(T0 + 2 * YEAR);
    expect(&s, PLAN_ISSUE_ALL, 1, "an expired Secret at the start");
    s = steady(T0 + 31 * DAY);
    expect(&s, PLAN_ISSUE_LEAF, 1, "only the leaf has expired");
}

static void damage(void **state)
{
    (void)state;
    struct plan_state s = steady(T0 + DAY);
    s.leaf_usable = false;
    expect(&s, PLAN_ISSUE_LEAF, 1, "leaf without its key, or for other names");
    s = steady(T0 + DAY);
    s.leaf_issuer = PLAN_NONE;
    expect(&s, PLAN_ISSUE_LEAF, 1, "a leaf of a CA that is not here");
    s = steady(T0 + DAY);
    s.cas[0].has_key = false;
    expect(&s, PLAN_ISSUE_CA, 1, "the CA's key is lost: rotate, do not break");
    s.leaf_usable = false;
    expect(&s, PLAN_ISSUE_ALL, 1, "its key and the leaf are lost");
    s = steady(T0 - 301);
    expect(&s, PLAN_ISSUE_ALL, 1, "made by a clock that was ahead");
    s = steady(T0 + DAY);
    s.bundle_exact = false;
    expect(&s, PLAN_PUBLISH, 1, "someone else's caBundle");
}

/* Leaf and CA end together: a new leaf could not live longer, so the CA is what is due.
 */
static void nothing_outlives_its_ca(struct plan_state *s)
{
    const struct plan_times equal = {.ca_lifetime = YEAR,
                                     .leaf_lifetime = YEAR,
                                     .backdate = 300,
                                     .settle_seconds = 30};
    assert_int_equal(plan_next(s, &equal).action, PLAN_ISSUE_CA);
}

static void renewal(void **state)
{
    (void)state;
    struct plan_state s = steady(T0 + 20 * DAY - 1);
    expect(&s, PLAN_WAIT, 1, "a second before two thirds");
    assert_int_equal(plan_next(&s, &times).due, s.now + 1);
    s.now++;
    expect(&s, PLAN_ISSUE_LEAF, 1, "at two thirds");
    s.bundle_exact = false;
    expect(&s, PLAN_ISSUE_LEAF, 1, "a bundle that cannot be mended must not stop it");
    s = steady(T0 + 300 * DAY);
    s.leaf_not_before = T0;
    s.leaf_not_after = s.cas[0].not_after;
    nothing_outlives_its_ca(&s);
}

static void ca_rotation(void **state)
{
    (void)state;
    struct plan_state s = steady(T0 + 244 * DAY);
    s.leaf_not_before = s.now - DAY;
    s.leaf_not_after = s.now + 29 * DAY;
    expect(&s, PLAN_ISSUE_CA, 1, "two thirds of the CA's life");
    s.now = T0 + 243 * DAY;
    s.leaf_not_before = s.now - DAY;
    s.leaf_not_after = s.now + 29 * DAY;
    expect(&s, PLAN_WAIT, 1, "not yet");

    int64_t now = T0 + 244 * DAY;
    s = rotating(now);
    s.bundle_exact = s.cas[0].published = false;
    s.signer_published_for = 0;
    expect(&s, PLAN_PUBLISH, 3, "the new CA is published first");
    s.cannot_publish = true;
    expect(&s, PLAN_WAIT, 3, "never a leaf that nobody can verify");
    s.leaf_not_before = now - 28 * DAY;
    s.leaf_not_after = now + 2 * DAY;
    expect(&s, PLAN_WAIT, 3, "not even when the leaf is due");
    s.signer_published_for = 1000; /* a caller that is mistaken */
    expect(&s, PLAN_WAIT, 3, "published now is what counts");
    s = rotating(now);
    s.signer_published_for = 29;
    expect(&s, PLAN_WAIT, 3, "API servers get time to see it");
    assert_int_equal(plan_next(&s, &times).due, now + 1);
    s = rotating(now);
    expect(&s, PLAN_ISSUE_LEAF, 3, "then the leaf moves");
    s.leaf_not_after = now - 1;
    s.signer_published_for = 0;
    expect(&s, PLAN_ISSUE_LEAF, 3, "at once if the old leaf is no good any more");

    s = rotating(now);
    s.leaf_issuer = 0;
    expect(&s, PLAN_WAIT, 3, "old leaves may be served still");
    s.now = now + 33 * DAY - 1;
    s.leaf_not_before = s.now - DAY;
    s.leaf_not_after = s.now + 29 * DAY;
    expect(&s, PLAN_WAIT, 3, "one second more");
    assert_int_equal(plan_next(&s, &times).due, s.now + 1);
    s.now++;
    expect(&s, PLAN_DROP_CA, 1, "no leaf of the old CA can live any more");
    s = rotating(now);
    s.leaf_issuer = 0;
    s.cas[1].not_after = now;
    expect(&s, PLAN_DROP_CA, 1, "an expired CA");
}

static void serving(void **state)
{
    (void)state;
    struct plan_state s = steady(T0);
    assert_true(plan_may_serve(&s, &times, true));
    s.cas[0].published = false;
    assert_false(plan_may_serve(&s, &times, true));
    assert_true(plan_may_serve(&s, &times, false)); /* nothing to lose */
    s = steady(T0);
    s.signer_published_for = 5;
    assert_false(plan_may_serve(&s, &times, true));
    assert_int_equal(plan_serve_due(&s, &times), s.now + 25); /* not at the next check */
    s.signer_published_for = 30;
    assert_int_equal(plan_serve_due(&s, &times), s.now);
    s.cas[0].published = false;
    assert_true(plan_serve_due(&s, &times) == INT64_MAX);
    s = steady(T0 + 40 * DAY);
    assert_false(plan_may_serve(&s, &times, true));
    s = rotating(T0 + 244 * DAY);
    s.signer_published_for = 0; /* the leaf is of the old CA: no reason to wait */
    assert_true(plan_may_serve(&s, &times, true));
    assert_int_equal(plan_serve_due(&s, &times), s.now);
}

/* Someone ruins ca.key again and again: ca.crt stays within its bounds, the leaf's CA in.
 */
static void too_many_cas(void **state)
{
    (void)state;
    for (int issuer = 0; issuer < PLAN_CAS_MAXIMUM; issuer++) {
        struct plan_state s = steady(T0 + DAY);
        s.ca_count = PLAN_CAS_MAXIMUM;
        for (size_t i = 0; i < s.ca_count; i++)
            s.cas[i] = (struct plan_ca){T0, T0 + YEAR, false, true};
        s.leaf_issuer = issuer;
        struct plan plan = plan_next(&s, &times);
        assert_int_equal(plan.action, PLAN_ISSUE_CA);
        assert_int_equal(__builtin_popcount(plan.keep), PLAN_CAS_MAXIMUM - 1);
        assert_true(plan.keep & 1u << issuer);
    }
}

/* --- ten years
 * -------------------------------------------------------------------------- */

#define REPLICAS 3

struct sim_ca {
    unsigned id; /* 0 = none */
    int64_t not_before, not_after;
};
struct sim_leaf {
    unsigned id;
    unsigned issuer;
    int64_t not_before, not_after;
};
struct secret {
    unsigned version;
    struct sim_ca cas[PLAN_CAS_MAXIMUM];
    size_t count;
    unsigned key; /* id of the CA that ca.key belongs to */
    struct sim_leaf leaf;
};
struct bundle { /* of both configurations, which are written one after the other */
    unsigned version;
    unsigned ids[PLAN_CAS_MAXIMUM];
    size_t count;
};
struct replica {
    int64_t skew;
    int64_t asleep_until;
    int step; /* 0: reads the bundles, 1: reads the Secret and plans, 2, 3: writes */
    struct bundle seen_bundle[2];
    struct secret seen;
    struct plan plan;
    struct sim_leaf serving;
    unsigned signer_id;
    int64_t signer_since;
};
struct world {
    int64_t now;
    struct secret secret;
    struct bundle bundle[2];
    struct replica replica[REPLICAS];
    unsigned next_id;
    uint64_t random;
    unsigned leaves, cas, publishes, drops, conflicts, checks;
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

static bool in_bundle(const struct bundle *bundle, unsigned id)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle->ids[i] == id)
            return true;
    }
    return false;
}

static bool bundle_is(const struct bundle *bundle, const struct secret *secret)
{
    if (bundle->count != secret->count)
        return false;
    for (size_t i = 0; i < secret->count; i++) {
        if (bundle->ids[i] != secret->cas[i].id)
            return false;
    }
    return true;
}

static struct plan_state look(const struct world *world, struct replica *replica)
{
    const struct secret *secret = &replica->seen;
    struct plan_state state = {
        .now = world->now + replica->skew,
        .ca_count = secret->count,
        .leaf_usable = secret->leaf.id != 0,
        .leaf_not_before = secret->leaf.not_before,
        .leaf_not_after = secret->leaf.not_after,
        .leaf_issuer = PLAN_NONE,
        .bundle_exact = bundle_is(&replica->seen_bundle[0], secret) &&
                        bundle_is(&replica->seen_bundle[1], secret),
    };
    unsigned signer = 0;
    for (size_t i = 0; i < secret->count; i++) {
        const struct sim_ca *ca = &secret->cas[i];
        bool published = in_bundle(&replica->seen_bundle[0], ca->id) &&
                         in_bundle(&replica->seen_bundle[1], ca->id);
        state.cas[i] = (struct plan_ca){ca->not_before, ca->not_after,
                                        ca->id == secret->key, published};
        if (ca->id == secret->leaf.issuer)
            state.leaf_issuer = (int)i;
        if (ca->id == secret->key && published)
            signer = ca->id;
    }
    if (signer != replica->signer_id || signer == 0) {
        replica->signer_id = signer;
        replica->signer_since = world->now;
    }
    state.signer_published_for = signer != 0 ? world->now - replica->signer_since : 0;
    return state;
}

static void keep_cas(struct secret *secret, unsigned keep)
{
    size_t n = 0;
    for (size_t i = 0; i < secret->count; i++) {
        if (keep & 1u << i)
            secret->cas[n++] = secret->cas[i];
    }
    secret->count = n;
}

/* The write that a plan means, refused when someone else wrote since. */
static void write_secret(struct world *world, struct replica *replica)
{
    struct secret next = replica->seen;
    int64_t now = world->now + replica->skew;
    enum plan_action action = replica->plan.action;
    if (world->secret.version != next.version) {
        world->conflicts++;
        return;
    }
    if (action != PLAN_ISSUE_LEAF)
        keep_cas(&next, replica->plan.keep);
    if (action == PLAN_ISSUE_ALL || action == PLAN_ISSUE_CA) {
        assert_true(next.count < PLAN_CAS_MAXIMUM);
        memmove(next.cas + 1, next.cas, next.count * sizeof(next.cas[0]));
        next.cas[0] = (struct sim_ca){world->next_id++, now - times.backdate,
                                      now + times.ca_lifetime};
        next.count++;
        next.key = next.cas[0].id;
        world->cas++;
    }
    if (action == PLAN_ISSUE_ALL || action == PLAN_ISSUE_LEAF) {
        const struct sim_ca *ca =
            &next.cas[action == PLAN_ISSUE_ALL ? 0 : replica->plan.signer];
        assert_int_equal(ca->id, next.key);
        int64_t not_after = now + times.leaf_lifetime;
        next.leaf =
            (struct sim_leaf){world->next_id++, ca->id, now - times.backdate,
                              not_after < ca->not_after ? not_after : ca->not_after};
        world->leaves++;
    }
    if (action == PLAN_DROP_CA)
        world->drops++;
    next.version++;
    world->secret = next;
}

static void write_bundle(struct world *world, struct replica *replica, int which)
{
    struct bundle *bundle = &world->bundle[which];
    if (bundle->version != replica->seen_bundle[which].version) {
        world->conflicts++;
        return;
    }
    if (bundle_is(bundle, &replica->seen))
        return;
    bundle->version++;
    bundle->count = replica->seen.count;
    for (size_t i = 0; i < bundle->count; i++)
        bundle->ids[i] = replica->seen.cas[i].id;
    world->publishes++;
}

/* One step of one replica; between any two steps the others may do theirs. */
static void step(struct world *world, struct replica *replica)
{
    switch (replica->step) {
    case 0:
        memcpy(replica->seen_bundle, world->bundle, sizeof(world->bundle));
        replica->step = 1;
        return;
    case 1: {
        replica->seen = world->secret;
        struct plan_state state = look(world, replica);
        replica->plan = plan_next(&state, &times);
        bool have = replica->serving.id != 0 && state.now < replica->serving.not_after &&
                    state.now >= replica->serving.not_before;
        if (plan_may_serve(&state, &times, have))
            replica->serving = replica->seen.leaf;
        replica->step = replica->plan.action == PLAN_WAIT ? 0 : 2;
        return;
    }
    case 2:
        if (replica->plan.action != PLAN_PUBLISH) {
            write_secret(world, replica);
            replica->step = 0;
            return;
        }
        write_bundle(world, replica, 0);
        replica->step = 3;
        return;
    default:
        write_bundle(world, replica, 1);
        replica->step = 0;
        return;
    }
}

/* What the API server would say to a call to this replica, by the true time. */
static void check(struct world *world, const struct replica *replica)
{
    const struct sim_leaf *leaf = &replica->serving;
    world->checks++;
    if (world->now < leaf->not_before || world->now >= leaf->not_after)
        fail_msg("day %lld: a leaf that is not valid is served (from %lld to %lld)",
                 (long long)(world->now - T0) / DAY, (long long)(leaf->not_before - T0),
                 (long long)(leaf->not_after - T0));
    for (int i = 0; i < 2; i++) {
        if (!in_bundle(&world->bundle[i], leaf->issuer))
            fail_msg("day %lld: a leaf of CA %u is served, configuration %d lacks it",
                     (long long)(world->now - T0) / DAY, leaf->issuer, i);
    }
}

static void start(struct world *world, uint64_t seed)
{
    *world = (struct world){.now = T0, .next_id = 1, .random = seed};
    for (int round = 0; round < 40; round++) { /* until all are ready */
        for (size_t i = 0; i < REPLICAS; i++)
            step(world, &world->replica[i]);
        world->now += 5;
    }
}

/* Every minute each replica that is awake does up to six steps, in any order. */
static void minute(struct world *world)
{
    for (int i = 0; i < 6 * REPLICAS; i++) {
        struct replica *replica = &world->replica[draw(world, REPLICAS)];
        if (replica->asleep_until <= world->now)
            step(world, replica);
        for (size_t r = 0; r < REPLICAS; r++)
            check(world, &world->replica[r]);
        world->now += i % 2 == 0 ? 3 : 4;
    }
}

static void ten_quiet_years(void **state)
{
    (void)state;
    struct world world;
    start(&world, 0x9e3779b97f4a7c15);
    assert_int_equal(world.leaves, 1);
    while (world.now < T0 + 10 * YEAR) {
        minute(&world);
        world.now += 600; /* not every minute, for the sake of the test's own time */
    }
    /* A leaf every 20 days and one with each new CA; a CA every 243 days, the old one
     * dropped 33 days later. */
    assert_in_range(world.leaves, 183, 183 + 16);
    assert_int_equal(world.cas, 1 + 14);
    assert_int_equal(world.drops, 14);
    assert_int_equal(world.publishes, 2 * (15 + 14));
    assert_true(world.conflicts > 0);
    assert_true(world.secret.count <= 2);
    print_message("10 years: %u leaves, %u CAs, %u caBundle writes, %u conflicts, "
                  "%u checks\n",
                  world.leaves, world.cas, world.publishes, world.conflicts,
                  world.checks);
}

/* Clocks up to two minutes off, replicas away for up to nine days, a caBundle
 * overwritten, the CA's key destroyed, the Secret's leaf destroyed: once a month
 * something. The calls keep verifying, but for the moments in which the caBundle itself
 * is someone else's. */
static void ten_rough_years(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world world;
        start(&world, seed * 0x2545f4914f6cdd1d);
        while (world.now < T0 + 10 * YEAR) {
            struct replica *replica = &world.replica[draw(&world, REPLICAS)];
            switch (draw(&world, 5)) {
            case 0:
                replica->skew = (int64_t)draw(&world, 240) - 120;
                break;
            case 1: /* but never all three */
                world.replica[0].asleep_until =
                    world.now + (int64_t)draw(&world, 9 * 86400);
                break;
            case 2:
                world.secret.key = 0;
                world.secret.version++;
                break;
            case 3:
                world.secret.leaf = (struct sim_leaf){0};
                world.secret.version++;
                break;
            default: {
                struct bundle *bundle = &world.bundle[draw(&world, 2)];
                bundle->version++;
                bundle->count = 1;
                bundle->ids[0] = 999999;
                /* Restored as soon as the replicas that are awake come round. */
                for (int i = 0; i < 40 && !bundle_is(bundle, &world.secret); i++)
                    step(&world, &world.replica[1 + draw(&world, REPLICAS - 1)]);
                assert_true(bundle_is(bundle, &world.secret));
                break;
            }
            }
            int64_t until = world.now + 3 * DAY + (int64_t)draw(&world, 60 * 86400);
            while (world.now < until) {
                minute(&world);
                world.now += 1800;
            }
        }
        assert_true(world.secret.count <= 4);
        assert_true(world.leaves < 400 && world.cas < 60);
    }
}

/* The clock of one replica jumps ten years ahead, or back, for a while. It may do damage,
 * but when it is right again everything comes back by itself, and nobody loops. */
static void time_jumps(void **state)
{
    (void)state;
    static const int64_t jumps[] = {10 * YEAR, -10 * YEAR, 40 * DAY,
                                    -40 * DAY, 3600,       -3600};
    for (size_t j = 0; j < NRW_COUNT(jumps); j++) {
        struct world world;
        start(&world, 77 + j);
        world.replica[0].skew = jumps[j];
        for (int i = 0; i < 30; i++)
            step(&world, &world.replica[0]);
        world.replica[0].skew = 0;
        for (int i = 0; i < 300; i++) {
            step(&world, &world.replica[draw(&world, REPLICAS)]);
            world.now += 5;
        }
        unsigned leaves = world.leaves, cas = world.cas, publishes = world.publishes;
        for (int i = 0; i < 300; i++)
            minute(&world); /* checks every replica */
        assert_int_equal(world.leaves, leaves);
        assert_int_equal(world.cas, cas);
        assert_int_equal(world.publishes, publishes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginnings),      cmocka_unit_test(damage),
        cmocka_unit_test(renewal),         cmocka_unit_test(ca_rotation),
        cmocka_unit_test(serving),         cmocka_unit_test(too_many_cas),
        cmocka_unit_test(ten_quiet_years), cmocka_unit_test(ten_rough_years),
        cmocka_unit_test(time_jumps),
    };
    return cmocka_run_group_tests_name("certs_plan", tests, NULL, NULL);
}
