/* The program's entry: settles what must be settled before the first thread, and calls
 * the verb. Each verb is one file in cli/. Main thread.
 *
 * Installed under the name kubectl-nvcf_registry it is a kubectl plugin; nothing changes
 * but the name that its texts use. */
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/cli.h"
#include "policy/suggest.h"
#include "util/mem.h"
#include "util/strmap.h"

/* glibc gives each thread its own arena, up to eight for each core, and keeps what a
 * burst has left in all of them. As many as there are workers by default will do, and two
 * more, so that none waits for the lock of the thread that runs when none of them does
 * (net/aside.h). */
#define ARENAS_MAXIMUM 6
/* Blocks of this size come from the kernel and go back to it at once: answers and lists
 * of megabytes are rare, and glibc would raise the bound to 32 MiB after the first and
 * keep them. */
#define MAPPED_SIZE (1 << 20)

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
} verbs[] = {
    {"serve", cli_serve, "run the webhook"},
    {"review", cli_review, "say offline what the webhook would decide"},
    {"lint", cli_lint, "check a policy, with line and column of every problem"},
    {"explain", cli_explain, "say what the API makes of an environment variable"},
    {"status", cli_status,
     "say what the live cluster has, and whether the webhook is well"},
    {"certs", cli_certs, "issue, show and verify certificates"},
    {"version", cli_version, "print version, commit and library versions"},
};

static void usage(FILE *to)
{
    fprintf(to,
            "Usage: %s VERB [OPTIONS] [ARGUMENTS]\n\n"
            "Keeps the container registries of the NVCF APIs as a policy says: a "
            "Kubernetes\nadmission webhook, and the tools around it.\n\nVerbs:\n",
            cli_program());
    for (size_t i = 0; i < NRW_COUNT(verbs); i++)
        fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].does);
    fprintf(
        to,
        "\n%s VERB --help says more. Exit codes: 0 good, 1 what was looked at is not\n"
        "good, 2 it could not be looked at.\n",
        cli_program());
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < NRW_COUNT(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int unknown_verb(const char *name)
{
    if (*name == '\0')
        return cli_trouble(NULL, "no verb given; %s --help lists what there is",
                           cli_program());
    if (*name == '-')
        return cli_trouble(NULL,
                           "unknown option %s: the verb comes first; %s --help lists "
                           "what there is",
                           name, cli_program());
    const char *names[NRW_COUNT(verbs)];
    for (size_t i = 0; i < NRW_COUNT(verbs); i++)
        names[i] = verbs[i].name;
    const char *near = suggest(str_of(name), names, NRW_COUNT(names));
    if (near != NULL)
        return cli_trouble(NULL, "unknown verb %s; did you mean %s?", name, near);
    return cli_trouble(NULL, "unknown verb %s; %s --help lists what there is", name,
                       cli_program());
}

static int help(int argc, char **argv)
{
    if (argc < 3) {
        usage(stdout);
        return cli_printed(NULL) ? CLI_GOOD : CLI_TROUBLE;
    }
    const struct verb *verb = find_verb(argv[2]);
    if (verb == NULL)
        return unknown_verb(argv[2]);
    char option[] = "--help";
    char *of_verb[] = {argv[2], option, NULL};
    if (argc == 3)
        return verb->run(2, of_verb);
    char *of_part[] = {argv[2], argv[3], option, NULL}; /* certs issue */
    return verb->run(3, of_part);
}

/* Started without standard input, output or error, the next socket would take its number,
 * and the log would go to a client. They are opened the wrong way round, so that a verb
 * that reads or writes there fails as it would have without: no empty input, no output
 * that is lost unseen. */
static bool have_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Names come from whoever may send a request, and must not be made to meet. */
static bool seed_maps(void)
{
    uint64_t seed[2];
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return false;
    strmap_seed(seed[0], seed[1]);
    return true;
}

int main(int argc, char **argv)
{
    if (!have_standard_descriptors())
        return CLI_TROUBLE;
    mallopt(M_ARENA_MAX, ARENAS_MAXIMUM);
    mallopt(M_MMAP_THRESHOLD, MAPPED_SIZE);
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(0); /* random; jansson would do it in whichever thread is first */
    if (argc > 0)
        cli_set_program(argv[0]);
    if (!seed_maps())
        return cli_trouble(NULL, "the kernel gives no random numbers");
    if (argc < 2) {
        usage(stderr);
        return CLI_TROUBLE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0)
        return help(argc, argv);
    if (strcmp(name, "--version") == 0)
        name = "version";
    const struct verb *verb = find_verb(name);
    return verb != NULL ? verb->run(argc - 1, argv + 1) : unknown_verb(name);
}
