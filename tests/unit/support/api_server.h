/* An API server on loopback, as far as a client can tell: it answers by method and path
 * with what a test has set, remembers what it was asked, and keeps watches open. For
 * what needs answers to several kinds of questions at once; script_server.h gives them
 * in one order, and byte by byte. Any thread may change the answers at any time. */
#ifndef NRW_TESTS_UNIT_SUPPORT_API_SERVER_H
#define NRW_TESTS_UNIT_SUPPORT_API_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "kube/client.h"

struct api_server;

/* In main, before anything else: no log but errors, jansson allocates by util/mem.h, and
 * the client's library is ready. False: it is not. */
bool api_tests_begin(void);

struct api_server *api_start(void);
void api_stop(struct api_server *server);
unsigned api_port(const struct api_server *server);
/* A client of it, from a kubeconfig in namespace "ns". */
struct kube_client *api_client(const struct api_server *server);
/* Writes such a kubeconfig into `path`, a template of mkstemp. */
void api_kubeconfig(const struct api_server *server, char *path);

/* "GET /api/v1/secrets": a method and the beginning of a path with its query. What was
 * set last counts; with "WATCH" for a GET that watches. Without any a watch is silent
 * and everything else 404. `body` is copied; NULL: what was sent comes back. */
void api_set(struct api_server *server, const char *what, unsigned status,
             const char *body);
/* The same, but the connection ends after half of the body. */
void api_set_cut(struct api_server *server, const char *what, unsigned status,
                 const char *body);
/* The same, with so many spaces after the body. */
void api_set_huge(struct api_server *server, const char *what, unsigned status,
                  const char *body, size_t spaces);
/* Neither headers nor body, until the client goes away or the server stops. */
void api_set_silent(struct api_server *server, const char *what);

/* Asked before the rules, one at a time; true: *ret_body is the answer, from malloc. */
typedef bool api_hook(void *context, const char *method, const char *url,
                      const char *body, unsigned *ret_status, char **ret_body);
void api_set_hook(struct api_server *server, api_hook *hook, void *context);

/* How often something that begins so ("PUT /apis/…") was asked. */
size_t api_count(struct api_server *server, const char *what);
/* Waits until it was asked so often, ten seconds at most. */
bool api_await(struct api_server *server, const char *what, size_t count);
/* The last body that came with it, from malloc; "" when there was none. */
char *api_body(struct api_server *server, const char *what);
/* All request lines, for a message. */
void api_print(struct api_server *server);

/* Waits in steps of two milliseconds until `condition` holds, ten seconds at most. */
#define AWAIT(condition)                                                                 \
    ({                                                                                   \
        bool await_met = false;                                                          \
        for (int await_i = 0; await_i < 5000 && !(await_met = (condition)); await_i++)   \
            api_pause(2);                                                                \
        await_met;                                                                       \
    })
void api_pause(unsigned milliseconds);

/* The Status that the API server sends with an error. */
#define API_STATUS(code, reason, message)                                                \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"," \
    "\"message\":\"" message "\",\"reason\":\"" reason "\",\"code\":" code "}"
#define API_CONFLICT                                                                     \
    API_STATUS("409", "Conflict",                                                        \
               "Operation cannot be fulfilled: the object has been modified; please "    \
               "apply your changes to the latest version and try again")
#define API_FORBIDDEN(rule)                                                              \
    API_STATUS("403", "Forbidden",                                                       \
               "User \\\"system:serviceaccount:ns:hook\\\" cannot " rule)

#endif
