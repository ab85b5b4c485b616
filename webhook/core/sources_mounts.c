/* Volumes that the API reads configuration from without being told to: Spring Boot looks
 * into its working directory and into config/ there, NVIDIA's bootstrap.yaml names a file
 * of secrets whose properties go before all others, and Spring Cloud Kubernetes takes the
 * namespace of the remote configuration from the service account's files
 * (docs/SPRING.md, "More ways in"). Pure. */
#include "core/sources_reader.h"

/* WORKDIR of NVIDIA's images. */
static const struct str image_dir = STR("/home/app");
static const struct str secrets_dir = STR("/home/app/vault");
static const struct str account_dirs[] = {
    STR("/var/run/secrets/kubernetes.io/serviceaccount"),
    STR("/run/secrets/kubernetes.io/serviceaccount"),
};

/* As the container's runtime sees it, the root as "". What is relative begins there. */
static struct str clean(struct arena *arena, struct str path)
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

/* application.yaml, application-ncp.properties, bootstrap.yml, config … */
static bool is_read_in_dir(struct str name)
{
    return str_starts(name, STR("application")) || str_starts(name, STR("bootstrap")) ||
           is_within(name, STR("config"));
}

struct str sources_working_dir(struct arena *arena, struct str working_dir)
{
    return working_dir.n > 0 ? clean(arena, working_dir) : image_dir;
}

bool sources_mount_is_read(struct arena *arena, struct str dir, struct str mount)
{
    const struct str path = clean(arena, mount);
    if (is_within(dir, path) || is_within(secrets_dir, path) ||
        is_within(path, secrets_dir))
        return true;
    for (size_t i = 0; i < NRW_COUNT(account_dirs); i++) {
        if (is_within(path, account_dirs[i]))
            return true;
    }
    return is_within(path, dir) && is_read_in_dir(str_skip(path, dir.n + 1));
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
        sources_opaque(reader, &place, STR(""),
                       arena_printf(reader->arena,
                                    "the API looks for its configuration in %.*s, and "
                                    "what is mounted there cannot be read here",
                                    STR_ARG(mount->path)),
                       "mount it elsewhere, and pass what the API needs as environment "
                       "variables");
    }
}
