/* Times in certificates, as seconds since 1970, and as text. No clock is read. Any
 * thread.
 */
#ifndef NRW_CERTS_TIME_H
#define NRW_CERTS_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/asn1.h>

#include "util/str.h"

#define CERT_TIME_TEXT 40 /* bytes that a time takes as text, with its NUL */

/* False (output untouched) when it is not a time. */
bool cert_time_of(const ASN1_TIME *time, int64_t *ret_seconds);

/* "2026-11-24T07:30:00Z", in `out`, which is returned. */
const char *cert_time_text(int64_t seconds, char out[CERT_TIME_TEXT]);

/* The reverse, and also seconds since 1970 as a plain number, and a date alone. */
bool cert_time_parse(struct str text, int64_t *ret_seconds);

#endif
