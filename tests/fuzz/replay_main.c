/* Gives every file of the named folders (or files) to a fuzz target, once each, so that
 * what fuzzing found stays found: corpus and regressions run in `make test` under gcc and
 * its address sanitizer, without libFuzzer. Prints TAP-free plain lines and a count; a
 * crash ends the process, which the runner counts as a failure. With no file at all an
 * empty input and a few odd ones are tried, so that a target without a corpus is still
 * exercised. One thread. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REPLAY_MAX (16u * 1024u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned passed, failed;

static void feed(const uint8_t *data, size_t size)
{
    /* A copy of exactly the right size, so that reading one byte too far is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        fprintf(stderr, "replay: out of memory\n");
        failed++;
        return;
    }
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    passed++;
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(REPLAY_MAX);
    if (!file || !data) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        failed++;
    } else {
        /* Said before the call, so that the log of a crash ends with the guilty file. */
        fprintf(stderr, "replay: %s\n", path);
        size_t size = fread(data, 1, REPLAY_MAX, file);
        feed(data, size);
    }
    if (file)
        fclose(file);
    free(data);
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        failed++;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char child[4096];
            int len = snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
            if (len > 0 && (size_t)len < sizeof(child))
                replay(child);
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    static const char *const odd[] = {
        "",
        "{",
        "[",
        "\"",
        "{}",
        "[]",
        "null",
        "\xff\xfe",
        "a: b\n",
        "---\n",
        "-----BEGIN CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        feed((const uint8_t *)odd[i], strlen(odd[i]));
    static const uint8_t zeros[64];
    feed(zeros, sizeof(zeros));
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
