/* A verb of the program run in this process, its input and both its outputs in memory. */
#ifndef NRW_TESTS_VERB_H
#define NRW_TESTS_VERB_H

#include "util/buf.h"

struct verb_run {
    struct buf out, err; /* NUL-terminated */
    int code;
};

/* verb(argc, argv) with "NAME WORDS…" (NULL ends them) and `input` on standard input. */
void verb_run(struct verb_run *ret_run, int (*verb)(int, char **), const char *name,
              const char *input, char *const *words);
void verb_run_done(struct verb_run *run);

/* The same, which must end with `code` and have `out` and `err` in its outputs; "": that
 * output must be empty; NULL: it may be anything. */
void verb_expect(int (*verb)(int, char **), const char *name, const char *input,
                 char *const *words, int code, const char *out, const char *err);

#define WORDS(...) ((char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define W(text)    ((char[]){text})

#endif
