/* A small HTTP server on loopback that gives prepared answers in order, for what a real
 * API server will not do on demand: 410, 429, silence, nonsense, a line cut in the
 * middle. What can be tested against a real one is (tests/integration/kube_live.sh). */
#ifndef NRW_TESTS_UNIT_SUPPORT_SCRIPT_SERVER_H
#define NRW_TESTS_UNIT_SUPPORT_SCRIPT_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct script_step {
    const char *want;   /* must stand in the request, or it is remembered as wrong */
    const char *answer; /* sent as it is; the connection is closed after it */
    unsigned hang_ms;   /* nothing more for so long before it is closed */
};

struct script_server;

/* After the last step it is repeated for ever. `steps` must live as long. */
struct script_server *script_start(const struct script_step *steps, size_t count);
unsigned script_port(const struct script_server *server);
/* Requests answered so far. */
size_t script_count(struct script_server *server);
/* The first request that was not what a step wanted, or "". */
const char *script_wrong(struct script_server *server);
void script_stop(struct script_server *server);

#endif
