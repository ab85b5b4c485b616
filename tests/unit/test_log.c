/* The log where its reader does not read: nobody waits, lines stay whole, what is lost is
 * counted and said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/log.h"

static int real_stderr = -1, reading = -1;
static struct buf seen;

/* Standard error becomes a pipe of the size that `log_setup` gives it. */
static int set_up(void **state)
{
    (void)state;
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    real_stderr = dup(STDERR_FILENO);
    if (real_stderr < 0 || pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return 1;
    close(ends[1]);
    reading = ends[0];
    if (fcntl(reading, F_SETFL, O_NONBLOCK) != 0)
        return 1;
    buf_init(&seen, 8u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    if (reading >= 0)
        close(reading);
    reading = -1;
    buf_done(&seen);
    return 0;
}

/* At most `most` bytes of what is in the pipe now. */
static void read_some(size_t most)
{
    char bytes[4096];
    while (most > 0) {
        ssize_t n = read(reading, bytes, most < sizeof(bytes) ? most : sizeof(bytes));
        if (n <= 0)
            return;
        buf_append(&seen, bytes, (size_t)n);
        most -= (size_t)n;
    }
}

static size_t lines_with(const char *text)
{
    size_t count = 0;
    for (const char *at = seen.data; at != NULL && (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void test_formats(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_DEBUG, "not this one");
    log_event(LOG_LEVEL_WARN, "a \"word\"", LOG_C("text", "x\n"), LOG_I("number", -1),
              LOG_B("truth", true));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "for people", LOG_C("text", "x"));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    read_some(SIZE_MAX);
    assert_non_null(strstr(seen.data,
                           "\"level\":\"warn\",\"msg\":\"a \\\"word\\\"\","
                           "\"text\":\"x\\n\",\"number\":-1,\"truth\":true}\n"));
    assert_non_null(strstr(seen.data, "Z info  for people text=\"x\"\n"));
    assert_null(strstr(seen.data, "not this one"));
    assert_int_equal(log_lines_lost(), 0);
}

/* Until the pipe is full and some lines more are lost. */
static size_t fill(size_t length)
{
    static char text[60000];
    uint64_t before = log_lines_lost();
    size_t written = 0;
    memset(text, 'x', length);
    while (log_lines_lost() < before + 3) {
        log_event(LOG_LEVEL_INFO, "filler", LOG_S("text", str_from(text, length)));
        written++;
        assert_true(written < 100000);
    }
    return written;
}

static void test_nobody_reads(void **state)
{
    (void)state;
    static const size_t lengths[] = {10, 3000, 5000, 60000};
    for (size_t i = 0; i < NRW_COUNT(lengths); i++) {
        uint64_t before = log_lines_lost();
        buf_clear(&seen);
        size_t tried = fill(lengths[i]);
        assert_int_equal(log_lines_lost(), before + 3);
        /* Room for a part of a long line at a time: it comes whole all the same. */
        for (size_t room = 0; room < 4; room++) {
            read_some(5000);
            log_event(LOG_LEVEL_INFO, "in between");
        }
        read_some(SIZE_MAX);
        log_event(LOG_LEVEL_INFO, "at last");
        read_some(SIZE_MAX);
        assert_int_equal(lines_with("\"msg\":\"filler\""), tried - 3);
        assert_int_equal(lines_with("\"msg\":\"at last\"}\n"), 1);
        assert_true(lines_with("\"msg\":\"log lines were lost\",\"lines\":") >= 1);
        assert_int_equal(lines_with("\"time\":"), lines_with("}\n"));
        assert_int_equal(lines_with("\n{\"time\":") + 1, lines_with("\n"));
        uint64_t said = 0;
        const char *at = seen.data;
        while ((at = strstr(at, "\"lines\":")) != NULL)
            said += strtoull(at += 8, NULL, 10);
        assert_int_equal(said, log_lines_lost() - before);
    }
}

static void test_nobody_is_there(void **state)
{
    (void)state;
    uint64_t before = log_lines_lost();
    close(reading);
    reading = -1;
    log_event(LOG_LEVEL_INFO, "to nobody");
    assert_int_equal(log_lines_lost(), before + 1);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0 && dup2(full, STDERR_FILENO) >= 0);
    close(full);
    log_event(LOG_LEVEL_INFO, "to a full disk");
    assert_int_equal(log_lines_lost(), before + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_is_there, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
