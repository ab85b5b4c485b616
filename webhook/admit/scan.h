/* A cursor over JSON text that only skips: it finds the members that are wanted and
 * passes over everything else without making values of it. An AdmissionReview is mostly
 * managedFields and an old object that no decision reads; skipping them is what makes an
 * answer fast.
 *
 * What is passed over is checked as far as it decides where things begin and end: strings
 * are closed, brackets are balanced and of the right kind, nothing is cut off, nesting is
 * bounded. Its inside (numbers, escapes, commas) is not: nothing of it is used. What is
 * handed on goes through jansson and is checked by it. Pure; any thread. */
#ifndef NRW_ADMIT_SCAN_H
#define NRW_ADMIT_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

#define SCAN_MAX_DEPTH 512u

struct scan {
    const char *at, *end;
    const char *problem; /* NULL while all is well; a literal */
};

void scan_init(struct scan *scan, struct str text);

/* The value's first byte after white space, or '\0' at the end. Nothing is consumed. */
char scan_peek(struct scan *scan);

/* Passes over one value and returns its bytes, white space around it left out. A null
 * text when there is none, or it is cut off or unbalanced (scan->problem says so). */
struct str scan_value(struct scan *scan);

/* An object, member by member: scan_open('{'), then scan_member() until it returns false,
 * each time followed by taking the value. Keys are returned as they stand in the text;
 * `escaped` says that the key has a backslash, and so is not the text it looks like. */
bool scan_open(struct scan *scan, char bracket);
bool scan_member(struct scan *scan, bool first, struct str *ret_key, bool *ret_escaped);
/* An array likewise. */
bool scan_item(struct scan *scan, bool first);

/* Nothing but white space is left. */
bool scan_is_done(struct scan *scan);

#endif
