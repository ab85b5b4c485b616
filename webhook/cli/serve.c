/* `serve`: runs the webhook. What it was told is read in serve_flags.c, the work is
 * app/'s; here is what concerns the process as a whole. Main thread. */
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/app.h"
#include "cli/cli.h"
#include "cli/serve_flags.h"
#include "util/mem.h"

/* The shell's convention for "ended by a signal". In a signal handler: _exit only. */
static void end_at_once(int signal_number)
{
    _exit(128 + signal_number);
}

static void *ssl_alloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size > 0 ? mem_lib_alloc(size) : NULL;
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    mem_lib_free(p);
}

static void *ssl_realloc(void *old, size_t size, const char *file, int line)
{
    if (size > 0)
        return mem_lib_realloc(old, size);
    ssl_free(old, file, line);
    return NULL;
}

/* OpenSSL leaves copies of the keys that it reads in memory that it gives back. Before
 * its first allocation. */
static void wipe_secrets(void)
{
    (void)CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free);
    mem_wipe_from_here(true);
}

/* Before OpenSSL's first use, which would otherwise register, by all their names, the
 * hundred and more ciphers that passphrases, CMS and old programs ask for, one by one and
 * at every start. TLS finds its ciphers without these names, and passphrases are refused.
 */
static void no_cipher_names(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ADD_ALL_CIPHERS, NULL);
}

/* Private keys are in this memory: no core file, and no reading it through /proc or
 * ptrace by another process of the same user. */
static void keep_secrets(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Where the machine gives huge pages unasked (transparent_hugepage "always"), a byte in
 * what is reserved for a large body would cost 2 MiB. */
static void no_huge_pages(void)
{
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

/* Each connection has three descriptors; the soft limit is low for the sake of programs
 * that use select(), which none of ours does. */
static void allow_descriptors(void)
{
    const rlim_t enough = 16384;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= enough)
        return;
    limit.rlim_cur = limit.rlim_max < enough ? limit.rlim_max : enough;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(struct serve_flags *flags)
{
    log_setup(flags->log_level, flags->log_format);
    keep_secrets();
    no_huge_pages();
    allow_descriptors();
    flags->app.end_at_once = end_at_once;
    struct err err = {0};
    if (app_run(&flags->app, &err))
        return CLI_GOOD;
    cli_trouble(&serve_command, "%s", err.message);
    return err.code == ERR_INVALID || err.code == ERR_SYNTAX ? CLI_NOT_GOOD : CLI_TROUBLE;
}

int cli_serve(int argc, char **argv)
{
    struct serve_flags flags;
    bool go;
    wipe_secrets();
    no_cipher_names();
    int code = serve_flags_read(&flags, argc, argv, &go);
    if (go)
        code = serve(&flags);
    serve_flags_done(&flags);
    return code;
}
