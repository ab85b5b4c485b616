/* The registries that a Deployment, or a pod, declares: the same code as in the server
 * reads them. Shared by status_look.c and status_pods.c. Main thread. */
#ifndef NRW_CLI_STATUS_VIEW_H
#define NRW_CLI_STATUS_VIEW_H

#include "cli/status.h"
#include "core/registries.h"

struct status_view {
    struct workload workload;
    struct sources sources;
    struct registries registries;
};

/* `object`: a Deployment, or a pod in the clothes of one. False: out of memory. */
bool status_view_make(struct status *status, const struct policy_target *target,
                      const json_t *object, const struct config_maps *maps,
                      struct status_view *view);

/* Who sets the registry: "policy" when our annotation says that we did, else as in a
 * declaration's source. */
struct str status_view_source(struct arena *arena, const struct workload *workload,
                              const struct registry *registry);

/* Whether it has these values. `registry` may be NULL. */
enum status_carry status_view_carries(const struct registry *registry, struct str name,
                                      struct str hostname);

/* NUL-terminated, in the arena. */
const char *status_c_text(struct status *status, struct str text);

/* Counts the running pods of a Deployment into its rows. False: out of memory. */
bool status_look_pods(struct status *status, const struct policy_target *target,
                      struct status_deployment *deployment, const json_t *object,
                      const struct config_maps *maps, struct err *err);

#endif
