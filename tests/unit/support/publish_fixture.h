/* What app/publish.h puts new things into: empty snapshots, metrics and health, without a
 * server. For tests of what is in force. */
#ifndef NRW_TESTS_PUBLISH_FIXTURE_H
#define NRW_TESTS_PUBLISH_FIXTURE_H

#include "app/publish.h"

struct publish_fixture {
    struct snapshots *snapshots;
    struct metrics *metrics;
    struct health health;
    struct publish publish;
};

/* The fixture must stay where it is; `on_policy` is called with `context`. */
void publish_fixture_init(struct publish_fixture *fixture,
                          void (*on_policy)(void *context, const struct policy *policy),
                          void *context);
void publish_fixture_done(struct publish_fixture *fixture);

#endif
