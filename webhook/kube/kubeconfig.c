/* kubeconfig text → settings; see kubeconfig.h. Each file becomes a libyaml document
 * (which resolves aliases to shared nodes, so nothing can blow up), and is only walked by
 * key from then on. Field names as in client-go tools/clientcmd/api/v1. */
#include "kube/kubeconfig.h"

#include <yaml.h>

#include "kube/base64.h"
#include "util/mem.h"

#define FILES_MAXIMUM 32u

struct parsed {
    const struct kubeconfig_file *file;
    yaml_document_t document;
    bool loaded;
};

struct kubeconfigs {
    struct parsed parsed[FILES_MAXIMUM];
    size_t count;
};

/* A cluster, user or context that was found, and the file it stands in. */
struct stanza {
    struct parsed *parsed;
    yaml_node_t *node;
    const char *what; /* "cluster", "user", "context" */
    struct str name;
};

static void kubeconfigs_done(struct kubeconfigs *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->parsed[i].loaded)
            yaml_document_delete(&all->parsed[i].document);
}

void kube_settings_done(struct kube_settings *settings)
{
    char **const texts[] = {
        &settings->server,    &settings->tls_server_name, &settings->proxy_url,
        &settings->ca_pem,    &settings->ca_file,         &settings->cert_pem,
        &settings->cert_file, &settings->key_pem,         &settings->key_file,
        &settings->token,     &settings->token_file,      &settings->name_space,
        &settings->source,    &settings->context};
    for (size_t i = 0; i < NRW_COUNT(texts); i++) {
        mem_free(*texts[i]);
        *texts[i] = NULL;
    }
}

static bool load(struct parsed *parsed, const struct kubeconfig_file *file,
                 struct err *err)
{
    parsed->file = file;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return err_nomem(err);
    yaml_parser_set_input_string(&parser, (const unsigned char *)file->text.p,
                                 file->text.n);
    bool good = yaml_parser_load(&parser, &parsed->document) != 0;
    parsed->loaded = good;
    if (!good && parser.error == YAML_MEMORY_ERROR)
        err_nomem(err);
    else if (!good)
        err_set(err, ERR_SYNTAX, "%s:%zu:%zu: not YAML: %s", file->path,
                parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                parser.problem != NULL ? parser.problem : "unreadable");
    yaml_parser_delete(&parser);
    return good;
}

/* The scalar's text; null when there is none (absent, `null`, `~`, or not a scalar). */
static struct str scalar(const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_SCALAR_NODE)
        return str_null();
    struct str text =
        str_from((const char *)node->data.scalar.value, node->data.scalar.length);
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (text.n == 0 || str_eq(text, STR("null")) || str_eq(text, STR("~"))))
        return str_null();
    return text;
}

static yaml_node_t *get(struct parsed *parsed, const yaml_node_t *map, const char *key)
{
    if (map == NULL || map->type != YAML_MAPPING_NODE)
        return NULL;
    const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    for (; pair < map->data.mapping.pairs.top; pair++) {
        struct str name = scalar(yaml_document_get_node(&parsed->document, pair->key));
        if (!str_is_null(name) && str_eq(name, str_of(key)))
            return yaml_document_get_node(&parsed->document, pair->value);
    }
    return NULL;
}

static struct str get_text(const struct stanza *stanza, const char *key)
{
    struct str text = scalar(get(stanza->parsed, stanza->node, key));
    return !str_is_null(text) && text.n == 0 ? str_null() : text;
}

/* The value under `what` of the entry called `name` in the list `list_key`. */
static bool find(struct kubeconfigs *all, const char *list_key, const char *what,
                 struct str name, struct stanza *ret_stanza, struct err *err)
{
    for (size_t i = 0; i < all->count; i++) {
        struct parsed *parsed = &all->parsed[i];
        yaml_node_t *list =
            get(parsed, yaml_document_get_root_node(&parsed->document), list_key);
        if (list == NULL || list->type != YAML_SEQUENCE_NODE)
            continue;
        const yaml_node_item_t *item = list->data.sequence.items.start;
        for (; item < list->data.sequence.items.top; item++) {
            yaml_node_t *entry = yaml_document_get_node(&parsed->document, *item);
            struct str called = scalar(get(parsed, entry, "name"));
            if (str_is_null(called) || !str_eq(called, name))
                continue;
            *ret_stanza = (struct stanza){parsed, get(parsed, entry, what), what, name};
            return true;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "%s: there is no %s \"%.*s\"",
                   all->parsed[0].file->path, what, STR_ARG(name));
}

static bool copy(struct str text, char **ret_copy, struct err *err)
{
    if (str_is_null(text))
        return true;
    if (memchr(text.p, '\0', text.n) != NULL)
        return err_set(err, ERR_INVALID, "a value in the kubeconfig holds a NUL byte");
    char *made = mem_strndup(text.p, text.n);
    if (made == NULL)
        return err_nomem(err);
    mem_free(*ret_copy);
    *ret_copy = made;
    return true;
}

static bool copy_field(const struct stanza *stanza, const char *key, char **ret_copy,
                       struct err *err)
{
    return copy(get_text(stanza, key), ret_copy, err);
}

/* A path, made to begin at the folder of the kubeconfig it stands in. */
static bool copy_path(const struct stanza *stanza, const char *key, char **ret_copy,
                      struct err *err)
{
    struct str path = get_text(stanza, key);
    const char *file = stanza->parsed->file->path;
    const char *slash = strrchr(file, '/');
    if (str_is_null(path) || path.p[0] == '/' || slash == NULL)
        return copy(path, ret_copy, err);
    NRW_AUTO_BUF struct buf whole;
    buf_init(&whole, 2 * KUBECONFIG_MAXIMUM);
    buf_append(&whole, file, (size_t)(slash - file) + 1);
    buf_str(&whole, path);
    return whole.failed ? err_nomem(err) : copy(buf_view(&whole), ret_copy, err);
}

static bool copy_decoded(const struct stanza *stanza, const char *key, char **ret_copy,
                         struct err *err)
{
    struct str text = get_text(stanza, key);
    if (str_is_null(text))
        return true;
    NRW_AUTO_BUF struct buf decoded;
    buf_init(&decoded, KUBECONFIG_MAXIMUM);
    if (base64_decode(text, &decoded))
        return copy(buf_view(&decoded), ret_copy, err);
    if (decoded.failed)
        return err_nomem(err);
    return err_set(err, ERR_INVALID, "%s: %s of %s \"%.*s\" is not base64",
                   stanza->parsed->file->path, key, stanza->what, STR_ARG(stanza->name));
}

static bool is_true(const struct stanza *stanza, const char *key, bool *ret_value,
                    struct err *err)
{
    struct str text = get_text(stanza, key);
    if (str_is_null(text) || str_eq_nocase(text, STR("false"))) {
        *ret_value = false;
        return true;
    }
    if (str_eq_nocase(text, STR("true"))) {
        *ret_value = true;
        return true;
    }
    return err_set(err, ERR_INVALID, "%s: %s of %s \"%.*s\" must be true or false",
                   stanza->parsed->file->path, key, stanza->what, STR_ARG(stanza->name));
}

/* What would run another program, or be someone else than the file seems to say. */
static bool refuse_unsupported(const struct stanza *user, struct err *err)
{
    static const struct {
        const char *key, *why;
    } refused[] = {
        {"exec", "starts a program to get credentials; give a token, a tokenFile or a "
                 "client certificate instead (kubectl create token NAME makes one)"},
        {"auth-provider",
         "needs a plugin that Kubernetes itself has removed; give a token, "
         "a tokenFile or a client certificate instead"},
        {"username",
         "is basic auth, which no supported API server takes; give a token or a "
         "client certificate instead"},
        {"password",
         "is basic auth, which no supported API server takes; give a token or a "
         "client certificate instead"},
        {"as", "asks to act as someone else, which is not supported"},
        {"as-uid", "asks to act as someone else, which is not supported"},
        {"as-groups", "asks to act as someone else, which is not supported"},
        {"as-user-extra", "asks to act as someone else, which is not supported"},
    };
    for (size_t i = 0; i < NRW_COUNT(refused); i++) {
        const yaml_node_t *node = get(user->parsed, user->node, refused[i].key);
        if (node == NULL || (node->type == YAML_SCALAR_NODE && str_is_null(scalar(node))))
            continue;
        return err_set(err, ERR_INVALID, "%s: `%s` of user \"%.*s\" %s",
                       user->parsed->file->path, refused[i].key, STR_ARG(user->name),
                       refused[i].why);
    }
    return true;
}

static bool take_cluster(const struct stanza *cluster, struct kube_settings *settings,
                         struct err *err)
{
    struct str server = get_text(cluster, "server");
    if (str_is_null(server))
        return err_set(err, ERR_INVALID, "%s: cluster \"%.*s\" has no server",
                       cluster->parsed->file->path, STR_ARG(cluster->name));
    while (server.n > 0 && server.p[server.n - 1] == '/')
        server.n--;
    if (!copy(server, &settings->server, err) ||
        !copy_field(cluster, "tls-server-name", &settings->tls_server_name, err) ||
        !copy_field(cluster, "proxy-url", &settings->proxy_url, err) ||
        !copy_decoded(cluster, "certificate-authority-data", &settings->ca_pem, err) ||
        !is_true(cluster, "insecure-skip-tls-verify", &settings->insecure, err))
        return false;
    if (settings->ca_pem == NULL &&
        !copy_path(cluster, "certificate-authority", &settings->ca_file, err))
        return false;
    if (settings->insecure && (settings->ca_pem != NULL || settings->ca_file != NULL))
        return err_set(err, ERR_INVALID,
                       "%s: cluster \"%.*s\" has a certificate-authority and "
                       "insecure-skip-tls-verify; it must be one of the two",
                       cluster->parsed->file->path, STR_ARG(cluster->name));
    return true;
}

static bool take_user(const struct stanza *user, struct kube_settings *settings,
                      struct err *err)
{
    if (!refuse_unsupported(user, err) ||
        !copy_decoded(user, "client-certificate-data", &settings->cert_pem, err) ||
        !copy_decoded(user, "client-key-data", &settings->key_pem, err) ||
        !copy_field(user, "token", &settings->token, err) ||
        !copy_path(user, "tokenFile", &settings->token_file, err))
        return false;
    if (settings->cert_pem == NULL &&
        !copy_path(user, "client-certificate", &settings->cert_file, err))
        return false;
    if (settings->key_pem == NULL &&
        !copy_path(user, "client-key", &settings->key_file, err))
        return false;
    bool cert = settings->cert_pem != NULL || settings->cert_file != NULL;
    bool key = settings->key_pem != NULL || settings->key_file != NULL;
    if (cert != key)
        return err_set(err, ERR_INVALID,
                       "%s: user \"%.*s\" has a client %s without its %s",
                       user->parsed->file->path, STR_ARG(user->name),
                       cert ? "certificate" : "key", cert ? "key" : "certificate");
    return true;
}

/* Credentials never travel in the clear. */
static bool check_scheme(const struct kube_settings *settings, struct err *err)
{
    struct str server = str_of(settings->server);
    if (str_starts(server, STR("https://")))
        return true;
    if (!str_starts(server, STR("http://")))
        return err_set(err, ERR_INVALID,
                       "%s: the server must be https://HOST[:PORT], it is \"%s\"",
                       settings->source, settings->server);
    if (settings->token != NULL || settings->token_file != NULL)
        return err_set(
            err, ERR_INVALID,
            "%s: the server is http://, so the token would travel in the clear; "
            "write https://",
            settings->source);
    return true;
}

static bool choose(struct kubeconfigs *all, const char *wanted,
                   struct kube_settings *settings, struct err *err)
{
    struct str name = wanted != NULL && wanted[0] != '\0' ? str_of(wanted) : str_null();
    for (size_t i = 0; i < all->count && str_is_null(name); i++) {
        struct parsed *parsed = &all->parsed[i];
        name = scalar(get(parsed, yaml_document_get_root_node(&parsed->document),
                          "current-context"));
        if (!str_is_null(name) && name.n == 0)
            name = str_null();
    }
    if (str_is_null(name))
        return err_set(err, ERR_NOT_FOUND,
                       "%s has no current-context; set one with `kubectl config "
                       "use-context NAME`",
                       all->parsed[0].file->path);
    struct stanza context, cluster, user;
    if (!find(all, "contexts", "context", name, &context, err))
        return false;
    struct str cluster_name = get_text(&context, "cluster");
    struct str user_name = get_text(&context, "user");
    if (str_is_null(cluster_name))
        return err_set(err, ERR_INVALID, "%s: context \"%.*s\" names no cluster",
                       context.parsed->file->path, STR_ARG(name));
    if (!copy(name, &settings->context, err) ||
        !copy(str_of(context.parsed->file->path), &settings->source, err) ||
        !copy_field(&context, "namespace", &settings->name_space, err) ||
        !find(all, "clusters", "cluster", cluster_name, &cluster, err) ||
        !take_cluster(&cluster, settings, err))
        return false;
    if (!str_is_null(user_name) && (!find(all, "users", "user", user_name, &user, err) ||
                                    !take_user(&user, settings, err)))
        return false;
    return check_scheme(settings, err);
}

bool kubeconfig_parse(const struct kubeconfig_file *files, size_t count,
                      const char *context, struct kube_settings *ret_settings,
                      struct err *err)
{
    NRW_CLEANUP(kubeconfigs_done) struct kubeconfigs all = {.count = 0};
    if (count == 0 || count > FILES_MAXIMUM)
        return err_set(err, ERR_INVALID, "KUBECONFIG must name 1 to %u files",
                       FILES_MAXIMUM);
    for (; all.count < count; all.count++)
        if (!load(&all.parsed[all.count], &files[all.count], err))
            return false;
    NRW_AUTO_KUBE_SETTINGS struct kube_settings settings = {0};
    if (!choose(&all, context, &settings, err))
        return false;
    *ret_settings = settings;
    settings = (struct kube_settings){0};
    return true;
}
