/* One HTTP exchange on an easy handle: what client.c drives blocking and loop.c with
 * curl_multi. Part of kube/, not for others. Whoever owns it. */
#ifndef NRW_KUBE_TRANSFER_H
#define NRW_KUBE_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"
#include "kube/path.h"
#include "util/buf.h"
#include "util/err.h"

/* A stream's bytes as they come (the code is 200 then); false ends the transfer. */
typedef bool transfer_sink(void *context, struct str data);

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct kube_client *client;
    char error_text[CURL_ERROR_SIZE];
    struct buf own_body;
    struct buf *body; /* own_body, or the caller's */
    transfer_sink *sink;
    void (*on_headers)(void *context); /* with a sink: the answer is 200 and has begun */
    void *sink_context;
    unsigned code; /* of HTTP; 0 until an answer came */
    unsigned retry_after;
    CURLcode result; /* 0 while and when all is well */
    unsigned deadline_ms;
    bool last_word;
};

/* Sets all options. `easy` may come from a pool; the transfer does not own it. The
 * request's texts must live until the transfer is done. */
bool transfer_prepare(struct transfer *transfer, CURL *easy, struct kube_client *client,
                      const struct kube_request *request, unsigned deadline_ms,
                      struct err *err);
/* After the exchange: true for 2xx. Counts it, and distrusts credentials where the
 * failure may be theirs. */
bool transfer_result(struct transfer *transfer, const struct kube_request *request,
                     CURLcode code, struct err *err);
void transfer_done(struct transfer *transfer);

/* For client.c and loop.c. */
struct kube_config *client_config(struct kube_client *client);
void client_observe(struct kube_client *client, const struct kube_request *request,
                    unsigned code);
void client_saw_date(struct kube_client *client, int64_t seconds);
bool client_stopped(const struct kube_client *client);

#endif
