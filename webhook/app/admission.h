/* One AdmissionReview from body to answer, with what is around the decision: the
 * snapshot, the metrics, the line in the log. Worker threads, several at a time, for what
 * takes little; the thread aside (net/aside.h) for the rest. */
#ifndef NRW_APP_ADMISSION_H
#define NRW_APP_ADMISSION_H

#include "admit/admit.h"
#include "app/handlers.h"

/* Fills status and body of `response`; or nothing, when it is to be asked for again
 * aside, which tells it from the request. */
enum net_handled admission_answer(struct handlers *handlers, enum admit_endpoint endpoint,
                                  const struct net_request *request,
                                  struct net_response *response);

/* {"error":"…"} and a newline in place of what the body holds. */
void handlers_error(const struct handlers *handlers, struct net_response *response,
                    unsigned status, const char *message);

#endif
