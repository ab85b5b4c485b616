/* How to reach the API server; see config.h. This file finds and reads the settings;
 * credentials.c keeps what is behind their files current. */
#include "kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kube/credentials.h"
#include "kube/kubeconfig.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"

#define FILES_MAXIMUM 32u

struct kube_config {
    struct kube_settings settings;
    struct credentials *credentials;
    char *base_url;   /* with tls-server-name as its host, if there is one */
    char *connect_to; /* "::host:port" for curl, or NULL */
    char *host;       /* "host:port" as the server is called; the Host header */
    bool loopback;
};

void kube_config_free(struct kube_config *config)
{
    if (config == NULL)
        return;
    credentials_free(config->credentials);
    kube_settings_done(&config->settings);
    mem_free(config->base_url);
    mem_free(config->connect_to);
    mem_free(config->host);
    mem_free(config);
}

static void free_config(struct kube_config **config)
{
    kube_config_free(*config);
}
#define NRW_AUTO_CONFIG NRW_CLEANUP(free_config)

static char *print(const char *fmt, ...) NRW_PRINTF(1, 2);
static char *print(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char text[2048];
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return n < 0 || (size_t)n >= sizeof(text) ? NULL : mem_strdup(text);
}

/* Parts of the server's URL, owned by curl. */
struct url_parts {
    CURLU *url;
    char *scheme, *host, *port, *path, *user, *query;
};

static void url_parts_done(struct url_parts *parts)
{
    curl_free(parts->scheme);
    curl_free(parts->host);
    curl_free(parts->port);
    curl_free(parts->path);
    curl_free(parts->user);
    curl_free(parts->query);
    curl_url_cleanup(parts->url);
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* curl has no option for the name to verify: the name goes into the URL, and CONNECT_TO
 * leads the connection to the real place. */
static bool digest_url(struct kube_config *config, struct err *err)
{
    const struct kube_settings *settings = &config->settings;
    NRW_CLEANUP(url_parts_done) struct url_parts parts = {.url = curl_url()};
    if (parts.url == NULL)
        return err_nomem(err);
    CURLUcode code = curl_url_set(parts.url, CURLUPART_URL, settings->server, 0);
    if (code == CURLUE_OUT_OF_MEMORY)
        return err_nomem(err);
    if (code != CURLUE_OK)
        return err_set(err, ERR_INVALID, "%s: the server \"%s\" is no URL: %s",
                       settings->source, settings->server, curl_url_strerror(code));
    if (curl_url_get(parts.url, CURLUPART_USER, &parts.user, 0) == CURLUE_OK ||
        curl_url_get(parts.url, CURLUPART_QUERY, &parts.query, 0) == CURLUE_OK)
        return err_set(err, ERR_INVALID,
                       "%s: the server's URL may have no user, password or query",
                       settings->source);
    if (curl_url_get(parts.url, CURLUPART_SCHEME, &parts.scheme, 0) != CURLUE_OK ||
        curl_url_get(parts.url, CURLUPART_HOST, &parts.host, 0) != CURLUE_OK ||
        curl_url_get(parts.url, CURLUPART_PORT, &parts.port, CURLU_DEFAULT_PORT) !=
            CURLUE_OK ||
        curl_url_get(parts.url, CURLUPART_PATH, &parts.path, 0) != CURLUE_OK)
        return err_nomem(err);
    config->loopback = is_loopback(parts.host);
    const char *path = strcmp(parts.path, "/") == 0 ? "" : parts.path;
    const char *name =
        settings->tls_server_name != NULL ? settings->tls_server_name : parts.host;
    config->base_url = print("%s://%s:%s%s", parts.scheme, name, parts.port, path);
    config->host = print("%s:%s", parts.host, parts.port);
    if (settings->tls_server_name != NULL) {
        config->connect_to = print("::%s:%s", parts.host, parts.port);
        if (config->connect_to == NULL)
            return err_nomem(err);
    }
    return config->base_url != NULL && config->host != NULL ? true : err_nomem(err);
}

/* Steals what is in `settings`. */
static struct kube_config *make(struct kube_settings *settings, struct err *err)
{
    NRW_AUTO_CONFIG struct kube_config *config = mem_calloc(1, sizeof(*config));
    if (config == NULL) {
        err_nomem(err);
        return NULL;
    }
    config->settings = *settings;
    *settings = (struct kube_settings){0};
    if (!digest_url(config, err))
        return NULL;
    config->credentials = credentials_new(&config->settings, err);
    if (config->credentials == NULL)
        return NULL;
    struct kube_config *made = config;
    config = NULL;
    return made;
}

static bool copy(const char *text, char **ret_copy)
{
    if (text != NULL)
        *ret_copy = mem_strdup(text);
    return text == NULL || *ret_copy != NULL;
}

struct kube_config *kube_config_for_server(const char *server, const char *ca_file,
                                           const char *token_file, const char *source,
                                           struct err *err)
{
    NRW_AUTO_KUBE_SETTINGS struct kube_settings settings = {0};
    if (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0) {
        err_set(err, ERR_INVALID, "%s: write http://HOST or https://HOST, not \"%s\"",
                source, server);
        return NULL;
    }
    if (!copy(server, &settings.server) || !copy(ca_file, &settings.ca_file) ||
        !copy(token_file, &settings.token_file) || !copy(source, &settings.source)) {
        err_nomem(err);
        return NULL;
    }
    size_t end = strlen(settings.server);
    while (end > 0 && settings.server[end - 1] == '/')
        settings.server[--end] = '\0';
    return make(&settings, err);
}

static char *join(const char *folder, const char *name)
{
    return print("%s/%s", folder, name);
}

static char *read_line(const char *folder, const char *name)
{
    NRW_AUTOFREE char *path = join(folder, name);
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, 253);
    if (path == NULL || !file_read(path, &text, NULL))
        return NULL;
    size_t end = text.size;
    while (end > 0 && (text.data[end - 1] == '\n' || text.data[end - 1] == ' '))
        end--;
    return end > 0 ? mem_strndup(text.data, end) : NULL;
}

struct kube_config *kube_config_in_cluster_from(const char *host, const char *port,
                                                const char *folder, struct err *err)
{
    uint64_t number;
    if (!num_parse(str_of(port), 65535, &number) || number == 0) {
        err_set(err, ERR_INVALID, "KUBERNETES_SERVICE_PORT is \"%s\", not a port", port);
        return NULL;
    }
    bool ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    NRW_AUTO_KUBE_SETTINGS struct kube_settings settings = {0};
    settings.server =
        print("https://%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
    settings.token_file = join(folder, "token");
    settings.ca_file = join(folder, "ca.crt");
    settings.source = mem_strdup("in-cluster");
    settings.name_space = read_line(folder, "namespace");
    if (settings.server == NULL || settings.token_file == NULL ||
        settings.ca_file == NULL || settings.source == NULL) {
        err_nomem(err);
        return NULL;
    }
    return make(&settings, err);
}

struct kube_config *kube_config_in_cluster(struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *missing = host == NULL || host[0] == '\0'   ? "KUBERNETES_SERVICE_HOST"
                          : port == NULL || port[0] == '\0' ? "KUBERNETES_SERVICE_PORT"
                                                            : NULL;
    if (missing != NULL) {
        err_set(err, ERR_NOT_FOUND,
                "this is not a pod (%s is not set); give --kubeconfig FILE", missing);
        return NULL;
    }
    return kube_config_in_cluster_from(host, port, KUBE_SERVICE_ACCOUNT_DIR, err);
}

/* The files of a list, read. */
struct file_set {
    struct kubeconfig_file files[FILES_MAXIMUM];
    struct buf texts[FILES_MAXIMUM];
    char *paths[FILES_MAXIMUM];
    size_t count;
};

static void file_set_done(struct file_set *set)
{
    for (size_t i = 0; i < FILES_MAXIMUM; i++) {
        buf_done(&set->texts[i]);
        mem_free(set->paths[i]);
    }
}

static bool add_file(struct file_set *set, struct str path, bool may_be_absent,
                     struct err *err)
{
    size_t i = set->count;
    if (i == FILES_MAXIMUM)
        return err_set(err, ERR_LIMIT, "KUBECONFIG names more than %u files",
                       FILES_MAXIMUM);
    mem_free(set->paths[i]);
    set->paths[i] = mem_strndup(path.p, path.n);
    if (set->paths[i] == NULL)
        return err_nomem(err);
    struct err reason = {0};
    buf_init(&set->texts[i], KUBECONFIG_MAXIMUM);
    if (!file_read(set->paths[i], &set->texts[i], &reason)) {
        if (may_be_absent && reason.code == ERR_NOT_FOUND)
            return true;
        return err_set(err, reason.code, "%s", reason.message);
    }
    set->files[i] = (struct kubeconfig_file){set->paths[i], buf_view(&set->texts[i])};
    set->count++;
    return true;
}

static struct kube_config *from_files(const struct file_set *set, const char *context,
                                      struct err *err)
{
    NRW_AUTO_KUBE_SETTINGS struct kube_settings settings = {0};
    if (!kubeconfig_parse(set->files, set->count, context, &settings, err))
        return NULL;
    return make(&settings, err);
}

struct kube_config *kube_config_from_file(const char *path, const char *context,
                                          struct err *err)
{
    NRW_CLEANUP(file_set_done) struct file_set set = {.count = 0};
    if (!add_file(&set, str_of(path), false, err))
        return NULL;
    return from_files(&set, context, err);
}

/* Absent files are skipped, as kubectl does; NULL and ERR_NOT_FOUND when none is there.
 */
static struct kube_config *from_list(struct str list, const char *context,
                                     struct err *err)
{
    NRW_CLEANUP(file_set_done) struct file_set set = {.count = 0};
    while (list.n > 0) {
        size_t end = str_index(list, 0, ':');
        struct str path = str_first(list, end);
        list = str_skip(list, end + 1);
        if (path.n > 0 && !add_file(&set, path, true, err))
            return NULL;
    }
    if (set.count == 0) {
        err_set(err, ERR_NOT_FOUND, "none of the files that KUBECONFIG names is there");
        return NULL;
    }
    return from_files(&set, context, err);
}

struct kube_config *kube_config_find(const char *path, const char *context,
                                     struct err *err)
{
    if (path != NULL && path[0] != '\0')
        return kube_config_from_file(path, context, err);
    const char *list = getenv("KUBECONFIG");
    if (list != NULL && list[0] != '\0')
        return from_list(str_of(list), context, err);
    const char *home = getenv("HOME");
    NRW_AUTOFREE char *standard = join(home != NULL ? home : "", ".kube/config");
    if (standard == NULL) {
        err_nomem(err);
        return NULL;
    }
    bool absent = access(standard, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    if (!absent)
        return kube_config_from_file(standard, context, err);
    struct err reason = {0};
    struct kube_config *config = kube_config_in_cluster(&reason);
    if (config == NULL && reason.code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND,
                "no kubeconfig: KUBECONFIG is not set, %s is not there, and this is no "
                "pod; give --kubeconfig FILE",
                standard);
    else if (config == NULL)
        err_set(err, reason.code, "%s", reason.message);
    return config;
}

const struct kube_settings *kube_config_settings(const struct kube_config *config)
{
    return &config->settings;
}

const char *kube_config_namespace(const struct kube_config *config)
{
    const char *name_space = config->settings.name_space;
    return name_space != NULL ? name_space : "default";
}

const char *kube_config_base_url(const struct kube_config *config)
{
    return config->base_url;
}

void kube_config_distrust(struct kube_config *config)
{
    credentials_distrust(config->credentials);
}

static bool add_header(struct curl_slist **headers, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*headers, text);
    if (longer == NULL)
        return false;
    *headers = longer;
    return true;
}

bool kube_config_apply(struct kube_config *config, CURL *easy,
                       struct curl_slist **headers, struct err *err)
{
    const struct kube_settings *settings = &config->settings;
    CURLcode code = CURLE_OK;
    if (settings->proxy_url != NULL) {
        code = curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy_url);
        if (code == CURLE_OK)
            code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    } else if (config->loopback) {
        code = curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* as Go does: never */
    }
    if (code != CURLE_OK)
        return err_set(err, ERR_INVALID, "%s: proxy-url cannot be used: %s",
                       settings->source, curl_easy_strerror(code));
    if (config->connect_to != NULL) {
        char host[1024];
        snprintf(host, sizeof(host), "Host: %s", config->host);
        if (!add_header(headers, host))
            return err_nomem(err);
    }
    return credentials_apply(config->credentials, easy, headers, config->connect_to, err);
}
