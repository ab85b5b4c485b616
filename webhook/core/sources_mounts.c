/* Volumes that the API reads configuration from without being told to: Spring Boot looks
 * into its working directory and into config/ there, NVIDIA's bootstrap.yaml names a file
 * of secrets whose properties go before all others, and Spring Cloud Kubernetes takes the
 * namespace of the remote configuration from the service account's files
 * (docs/SPRING.md, "More ways in"). Pure. */
#include "core/sources_reader.h"

/* WORKDIR of NVIDIA's images. */
static const struct str image_dir = STR("/home/app");
static const struct str secrets_file = STR("/home/app/vault/secrets.json");
static const struct str account_dirs[] = {
    STR("/var/run/secrets/kubernetes.io/serviceaccount"),
    STR("/run/secrets/kubernetes.io/serviceaccount"),
};

/* With the message no longer than a warning may be. */
static const char dir_advice[] = "mount it beside that, or an emptyDir that no other "
                                 "container of the pod may write to";
static const char file_advice[] =
    "mount it elsewhere, and pass what the API needs as environment variables";
static const char secrets_advice[] =
    "leave the secrets to the injector of the Vault Agent, or set opaqueSources: Allow";
static const char account_advice[] =
    "leave it to Kubernetes, or take `namespace` in it from the downward API";

struct str sources_mount_path(struct arena *arena, struct str path)
{
    char *out = arena_alloc(arena, path.n + 2, 1);
    size_t n = 0;
    if (out == NULL)
        return STR("");
    for (size_t at = 0; at < path.n;) {
        size_t end = str_index(path, at, '/');
        const struct str part = str_from(path.p + at, end - at);
        at = end + 1;
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            while (n > 0 && out[--n] != '/')
                continue;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    return str_from(out, n);
}

static bool is_within(struct str path, struct str dir)
{
    return str_starts(path, dir) && (path.n == dir.n || path.p[dir.n] == '/');
}

/* application.yaml, application-ncp.properties, bootstrap.yml; a directory is none. */
static bool is_file_name(struct str name)
{
    static const struct str begin[] = {STR("application"), STR("bootstrap")};
    static const struct str end[] = {STR(".yaml"), STR(".yml"), STR(".properties"),
                                     STR(".xml"), STR(".json")};
    bool begins = false, ends = false;
    for (size_t i = 0; i < NRW_COUNT(begin); i++) {
        struct str rest = str_skip(name, begin[i].n);
        begins = begins || (str_starts(name, begin[i]) && rest.n > 0 &&
                            (rest.p[0] == '.' || rest.p[0] == '-'));
    }
    for (size_t i = 0; i < NRW_COUNT(end); i++)
        ends = ends || str_ends(name, end[i]);
    return begins && ends && str_index(name, 0, '/') == name.n;
}

/* Of the service account's files the one called so: the others are no configuration. */
static bool is_namespace_file(struct str path, struct str dir)
{
    return is_within(path, dir) &&
           (path.n == dir.n || str_eq(str_skip(path, dir.n), STR("/namespace")));
}

struct str sources_working_dir(struct arena *arena, struct str working_dir)
{
    return working_dir.n > 0 ? sources_mount_path(arena, working_dir) : image_dir;
}

static bool reads(struct mount *mount, struct str what, const char *advice)
{
    mount->reads = what;
    mount->advice = advice;
    return true;
}

bool sources_mount_is_read(struct str dir, struct mount *mount)
{
    const struct str path = mount->path;
    if (is_within(dir, path))
        return reads(mount, dir, dir_advice);
    if (is_within(secrets_file, path))
        return reads(mount, secrets_file, secrets_advice);
    for (size_t i = 0; i < NRW_COUNT(account_dirs); i++) {
        if (is_namespace_file(path, account_dirs[i]))
            return reads(mount, path, account_advice);
    }
    if (!is_within(path, dir))
        return false;
    const struct str rest = str_skip(path, dir.n + 1);
    return (is_within(rest, STR("config")) || is_file_name(rest)) &&
           reads(mount, path, file_advice);
}

/* The root is "" here. */
static struct str shown(struct str path)
{
    return path.n > 0 ? path : STR("/");
}

void sources_read_mounts(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    for (size_t i = 0; i < container->mount_count; i++) {
        const struct mount *mount = &container->mounts[i];
        struct place place = {
            LAYER_ENV, STR("volumeMounts"), STR(""), NOT_IN_ENV, STR(""), false};
        place.path = arena_printf(reader->arena,
                                  "spec.template.spec.containers[%zu].volumeMounts[%zu]",
                                  container->index, mount->index);
        const struct str where =
            str_eq(mount->reads, mount->path)
                ? STR("there")
                : arena_printf(reader->arena, "at %.*s", STR_ARG(shown(mount->path)));
        sources_opaque(reader, &place, STR(""),
                       arena_printf(reader->arena,
                                    "the API looks for its configuration in %.*s, and "
                                    "what is mounted %.*s cannot be read here",
                                    STR_ARG(shown(mount->reads)), STR_ARG(where)),
                       mount->advice);
    }
}
