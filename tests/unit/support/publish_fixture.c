/* See publish_fixture.h. */
#include "tests/unit/support/publish_fixture.h"

void publish_fixture_init(struct publish_fixture *fixture,
                          void (*on_policy)(void *context, const struct policy *policy),
                          void *context)
{
    *fixture = (struct publish_fixture){.snapshots = snapshots_new(NULL),
                                        .metrics = metrics_new("1", "c")};
    health_init(&fixture->health, fixture->snapshots);
    fixture->publish = (struct publish){.snapshots = fixture->snapshots,
                                        .health = &fixture->health,
                                        .metrics = fixture->metrics,
                                        .on_policy = on_policy,
                                        .context = context};
    publish_init(&fixture->publish);
}

void publish_fixture_done(struct publish_fixture *fixture)
{
    publish_done(&fixture->publish);
    metrics_free(fixture->metrics);
    snapshots_free(fixture->snapshots);
}
