/* See verb.h. Files in memory stand in for the three descriptors. */
#include "tests/unit/support/verb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_MAXIMUM (1u << 22)
#define WORDS_MAXIMUM  32

struct redirected {
    int fd, file, saved;
};

static struct redirected redirect(int fd)
{
    struct redirected redirected = {fd, memfd_create("verb", MFD_CLOEXEC), dup(fd)};
    assert_true(redirected.file >= 0 && redirected.saved >= 0);
    assert_int_equal(dup2(redirected.file, fd), fd);
    return redirected;
}

static void restore(struct redirected *redirected, struct buf *ret_text)
{
    char chunk[4096];
    ssize_t n;
    dup2(redirected->saved, redirected->fd);
    close(redirected->saved);
    if (ret_text != NULL) {
        buf_init(ret_text, OUTPUT_MAXIMUM);
        lseek(redirected->file, 0, SEEK_SET);
        while ((n = read(redirected->file, chunk, sizeof(chunk))) > 0)
            assert_true(buf_append(ret_text, chunk, (size_t)n));
        assert_true(buf_append(ret_text, "", 0) && n == 0);
    }
    close(redirected->file);
}

void verb_run(struct verb_run *ret_run, int (*verb)(int, char **), const char *name,
              const char *input, char *const *words)
{
    char *argv[WORDS_MAXIMUM + 2] = {strdup(name)};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc <= WORDS_MAXIMUM);
        argv[argc] = words[argc - 1];
    }
    char *own = argv[0];
    fflush(NULL);
    struct redirected in = redirect(STDIN_FILENO);
    assert_int_equal(write(in.file, input, strlen(input)), strlen(input));
    lseek(in.file, 0, SEEK_SET);
    struct redirected out = redirect(STDOUT_FILENO);
    struct redirected err = redirect(STDERR_FILENO);
    ret_run->code = verb(argc, argv);
    fflush(NULL);
    restore(&err, &ret_run->err);
    restore(&out, &ret_run->out);
    restore(&in, NULL);
    free(own);
}

void verb_run_done(struct verb_run *run)
{
    buf_done(&run->out);
    buf_done(&run->err);
}

static const char *text_of(const struct buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

static bool is_as_wanted(const char *text, const char *want)
{
    return want == NULL ||
           (want[0] == '\0' ? text[0] == '\0' : strstr(text, want) != NULL);
}

void verb_expect(int (*verb)(int, char **), const char *name, const char *input,
                 char *const *words, int code, const char *out, const char *err)
{
    struct verb_run run;
    verb_run(&run, verb, name, input, words);
    if (run.code != code || !is_as_wanted(text_of(&run.out), out) ||
        !is_as_wanted(text_of(&run.err), err))
        fail_msg("%s: code %d\nout: %s\nerr: %s", name, run.code, text_of(&run.out),
                 text_of(&run.err));
    verb_run_done(&run);
}
