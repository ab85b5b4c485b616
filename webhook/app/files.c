/* Files kept current; see files.h. Everything after files_start() runs in the thread
 * "files", but for files_again() and files_free(). */
#include "app/files.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "policy/policy_file.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#define PARTS_MAXIMUM    3
#define PEM_FILE_MAXIMUM (1u << 20)
#define TICK_MS          10000
#define SETTLE_MS        200
#define PATIENCE_MS      1000
#define CALM_MS          50
#define WATCHED                                                                          \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |              \
     IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR)

/* What was read: enough to tell it from something else, without keeping a key around. */
struct digest {
    bool known;
    unsigned char bytes[32];
};

/* Files that make one thing together. */
struct source {
    struct files *files;
    bool (*take)(struct source *source, const struct buf parts[PARTS_MAXIMUM],
                 enum publish_tone tone, struct err *err);
    void (*refuse)(struct publish *publish, const char *origin, const struct err *why);
    void (*restored)(struct publish *publish); /* what is in force is back; may be NULL */
    const char *paths[PARTS_MAXIMUM];
    size_t path_count;
    size_t part_maximum;
    struct digest taken, refused, seen; /* in force; counted as bad; at the last look */
    int64_t seen_since;                 /* ms */
};

struct files {
    struct files_options options;
    struct source sources[2];
    size_t source_count;
    int wake, notify; /* eventfd; inotify or -1 */
    atomic_bool stop, again;
    pthread_t thread;
    bool started;
};

/* --- what the sources are -------------------------------------------------------------
 */

static bool take_policy(struct source *source, const struct buf parts[PARTS_MAXIMUM],
                        enum publish_tone tone, struct err *err)
{
    return publish_policy(source->files->options.publish, buf_view(&parts[0]),
                          source->paths[0], tone, err);
}

static bool take_certificate(struct source *source, const struct buf parts[PARTS_MAXIMUM],
                             enum publish_tone tone, struct err *err)
{
    const struct publish_pair pair = {
        .cert_pem = buf_view(&parts[0]),
        .key_pem = buf_view(&parts[1]),
        .client_ca_pem = source->path_count > 2 ? buf_view(&parts[2]) : str_null(),
        .origin = source->paths[0],
    };
    return publish_certificate(source->files->options.publish, &pair, tone, err);
}

/* For a certificate that comes from elsewhere. */
static bool take_client_ca(struct source *source, const struct buf parts[PARTS_MAXIMUM],
                           enum publish_tone tone, struct err *err)
{
    return publish_client_ca(source->files->options.publish, buf_view(&parts[0]),
                             source->paths[0], tone, err);
}

static void add_source(struct files *files, struct source source)
{
    source.files = files;
    while (source.path_count < PARTS_MAXIMUM && source.paths[source.path_count] != NULL)
        source.path_count++;
    files->sources[files->source_count++] = source;
}

/* --- looking --------------------------------------------------------------------------
 */

static void parts_init(struct buf parts[PARTS_MAXIMUM], size_t maximum)
{
    for (size_t i = 0; i < PARTS_MAXIMUM; i++)
        buf_init(&parts[i], maximum);
}

/* A key is among them: nothing stays in freed memory. */
static void parts_wipe(struct buf parts[PARTS_MAXIMUM])
{
    for (size_t i = 0; i < PARTS_MAXIMUM; i++) {
        if (parts[i].data != NULL)
            OPENSSL_cleanse(parts[i].data, parts[i].capacity);
        buf_done(&parts[i]);
    }
}

static bool read_parts(const struct source *source, struct buf parts[PARTS_MAXIMUM],
                       struct err *err)
{
    for (size_t i = 0; i < source->path_count; i++) {
        /* Room at once for what such files have, so that growing leaves no copies. */
        if (!buf_reserve(&parts[i], 16384))
            return err_nomem(err);
        if (!file_read(source->paths[i], &parts[i], err))
            return false;
    }
    return true;
}

/* Of the bytes, or of the reason why there are none. False: out of memory. */
static bool digest_of(const struct buf parts[PARTS_MAXIMUM], const struct err *failure,
                      struct digest *ret_digest)
{
    struct digest digest = {.known = true};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && failure == NULL && i < PARTS_MAXIMUM; i++) {
        good = EVP_DigestUpdate(context, &parts[i].size, sizeof(parts[i].size)) == 1 &&
               (parts[i].size == 0 ||
                EVP_DigestUpdate(context, parts[i].data, parts[i].size) == 1);
    }
    if (good && failure != NULL)
        good = EVP_DigestUpdate(context, failure->message, strlen(failure->message)) == 1;
    good = good && EVP_DigestFinal_ex(context, digest.bytes, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (good)
        *ret_digest = digest;
    return good;
}

static bool same(const struct digest *a, const struct digest *b)
{
    return a->known && b->known && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void refused(struct source *source, const struct digest *digest,
                    const struct err *why)
{
    source->refused = *digest;
    source->refuse(source->files->options.publish, source->paths[0], why);
}

/* What was read differs from what is in force. True: look again soon. */
static bool consider(struct source *source, const struct buf parts[PARTS_MAXIMUM],
                     const struct err *unreadable, const struct digest *digest,
                     bool at_once)
{
    int64_t now = clock_mono_millis();
    if (!same(digest, &source->seen)) {
        source->seen = *digest;
        source->seen_since = now;
        if (!at_once)
            return true;
    }
    int64_t age = now - source->seen_since;
    if (!at_once && age < SETTLE_MS)
        return true;
    bool patient = !at_once && age < PATIENCE_MS;
    struct err err = {0};
    if (unreadable != NULL) {
        if (!patient)
            refused(source, digest, unreadable);
        return patient;
    }
    if (source->take(source, parts, patient ? PUBLISH_QUIETLY : PUBLISH_ALOUD, &err)) {
        source->taken = *digest;
        source->refused.known = false;
        return false;
    }
    /* For want of memory says nothing about the content: the next look tries again. */
    if (!patient && err.code != ERR_NOMEM)
        source->refused = *digest;
    return patient;
}

/* True: look again soon. */
static bool look(struct source *source, bool at_once)
{
    struct buf parts[PARTS_MAXIMUM];
    struct digest digest;
    struct err failure = {0};
    bool soon = false;
    parts_init(parts, source->part_maximum);
    bool readable = read_parts(source, parts, &failure);
    if ((readable || failure.code != ERR_NOMEM) &&
        digest_of(parts, readable ? NULL : &failure, &digest)) {
        if (same(&digest, &source->taken)) {
            if (source->refused.known && source->restored != NULL)
                source->restored(source->files->options.publish);
            source->refused.known = source->seen.known = false;
        } else if (at_once || !same(&digest, &source->refused))
            soon = consider(source, parts, readable ? NULL : &failure, &digest, at_once);
    }
    parts_wipe(parts);
    return soon;
}

/* --- the thread -----------------------------------------------------------------------
 */

/* Adding a watch that is there already changes nothing; one on a folder that was replaced
 * is new. So all are added before every wait. */
static void watch_folders(const struct files *files)
{
    for (size_t i = 0; i < files->source_count; i++) {
        const struct source *source = &files->sources[i];
        for (size_t j = 0; j < source->path_count; j++) {
            const char *slash = strrchr(source->paths[j], '/');
            size_t n = slash == NULL ? 0 : (size_t)(slash - source->paths[j]) + 1;
            NRW_AUTOFREE char *folder =
                slash == NULL ? mem_strdup(".") : mem_strndup(source->paths[j], n);
            if (folder != NULL)
                (void)inotify_add_watch(files->notify, folder, WATCHED);
        }
    }
}

static void drain(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof(bytes)) > 0) {
    }
}

/* Many changes in a folder that is not ours alone cost a look every 50 ms at most. */
static void wait_for_change(const struct files *files, int milliseconds)
{
    struct pollfd fds[] = {
        {.fd = files->wake, .events = POLLIN},
        {.fd = files->notify, .events = POLLIN}, /* -1 is passed over */
    };
    if (poll(fds, NRW_COUNT(fds), milliseconds) <= 0)
        return;
    if (fds[0].revents == 0)
        (void)poll(fds, 1, CALM_MS);
    for (size_t i = 0; i < NRW_COUNT(fds); i++) {
        if (fds[i].fd >= 0)
            drain(fds[i].fd);
    }
}

static void *run(void *opaque)
{
    struct files *files = opaque;
    (void)pthread_setname_np(pthread_self(), "files");
    mem_wipe_from_here(true);
    int wait = SETTLE_MS; /* something may have changed since the first read */
    while (!atomic_load(&files->stop)) {
        if (files->notify >= 0)
            watch_folders(files);
        wait_for_change(files, wait);
        bool at_once = atomic_exchange(&files->again, false);
        bool soon = false;
        for (size_t i = 0; i < files->source_count && !atomic_load(&files->stop); i++)
            soon = look(&files->sources[i], at_once) || soon;
        wait = soon ? SETTLE_MS : TICK_MS;
    }
    return NULL;
}

/* --- from outside ---------------------------------------------------------------------
 */

/* False, always. Which of the files is to blame, the reason says. */
static bool of_these(const struct source *source, struct err *err)
{
    NRW_AUTO_BUF struct buf names;
    buf_init(&names, sizeof(err->message) / 2); /* the reason needs room, too */
    for (size_t i = 0; i < source->path_count; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", source->paths[i]);
    return err_wrap(err, "%s", names.failed ? source->paths[0] : names.data);
}

/* The first look: what is not good ends the start. */
static bool first_look(struct source *source, struct err *err)
{
    struct buf parts[PARTS_MAXIMUM];
    parts_init(parts, source->part_maximum);
    bool good =
        read_parts(source, parts, err) &&
        (digest_of(parts, NULL, &source->taken) || err_nomem(err)) &&
        (source->take(source, parts, PUBLISH_ALOUD, err) || of_these(source, err));
    parts_wipe(parts);
    return good;
}

struct files *files_new(const struct files_options *options, struct err *err)
{
    struct files *files = mem_calloc(1, sizeof(*files));
    if (files == NULL) {
        err_nomem(err);
        return NULL;
    }
    files->options = *options;
    files->wake = files->notify = -1;
    if (options->policy_file != NULL)
        add_source(files, (struct source){.take = take_policy,
                                          .refuse = publish_policy_refused,
                                          .restored = publish_policy_restored,
                                          .paths = {options->policy_file},
                                          .part_maximum = POLICY_FILE_MAX_BYTES});
    if (options->tls_cert != NULL)
        add_source(files, (struct source){.take = take_certificate,
                                          .refuse = publish_certificate_refused,
                                          .paths = {options->tls_cert, options->tls_key,
                                                    options->client_ca},
                                          .part_maximum = PEM_FILE_MAXIMUM});
    else if (options->client_ca != NULL)
        add_source(files, (struct source){.take = take_client_ca,
                                          .refuse = publish_certificate_refused,
                                          .paths = {options->client_ca},
                                          .part_maximum = PEM_FILE_MAXIMUM});
    for (size_t i = 0; i < files->source_count; i++) {
        if (!first_look(&files->sources[i], err)) {
            files_free(files);
            return NULL;
        }
    }
    return files;
}

bool files_start(struct files *files, struct err *err)
{
    files->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (files->wake < 0)
        return err_errno(err, errno, "cannot make an eventfd");
    files->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (files->notify < 0)
        log_event(LOG_LEVEL_WARN, "no inotify: files are looked at every 10 s only",
                  LOG_I("errno", errno));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&files->thread, NULL, run, files);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return err_errno(err, failure, "cannot start the thread that watches files");
    files->started = true;
    return true;
}

static void wake(const struct files *files)
{
    const uint64_t one = 1;
    ssize_t written = write(files->wake, &one, sizeof(one));
    (void)written; /* full means that it is awake already */
}

void files_again(struct files *files)
{
    atomic_store(&files->again, true);
    wake(files);
}

void files_free(struct files *files)
{
    if (files == NULL)
        return;
    if (files->started) {
        atomic_store(&files->stop, true);
        wake(files);
        pthread_join(files->thread, NULL);
    }
    if (files->wake >= 0)
        close(files->wake);
    if (files->notify >= 0)
        close(files->notify);
    mem_free(files);
}
