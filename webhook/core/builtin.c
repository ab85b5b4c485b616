/* The built-in registries; see builtin.h. Source of the table: nvcf-facts.md, part 2. */
#include "core/builtin.h"

#include "core/spring.h"
#include "util/attr.h"

static const struct builtin table[] = {
    {STR("acr"), STR("ACR"), STR("acr"), STR("Azure Container Registry"),
     STR("azurecr.io")},
    {STR("artifactory"), STR("ARTIFACTORY"), STR("artifactory"),
     STR("JFrog Artifactory Registry"), STR("")},
    {STR("docker"), STR("DOCKER"), STR("docker"), STR("Docker Hub Registry"),
     STR("docker.io")},
    {STR("ecr"), STR("ECR"), STR("ecr"), STR("AWS ECR Private Registry"),
     STR("dkr.ecr.amazonaws.com")},
    {STR("ecr-public"), STR("ECR_PUBLIC"), STR("ecrpublic"),
     STR("AWS ECR Public Registry"), STR("public.ecr.aws")},
    {STR("harbor"), STR("HARBOR"), STR("harbor"), STR("Harbor Registry"), STR("")},
    {STR("ngc"), STR("NGC"), STR("ngc"), STR("NGC Private Registry"), STR("nvcr.io")},
    {STR("volcengine"), STR("VOLCENGINE"), STR("volcengine"),
     STR("Volcano Engine Registry"), STR("cr.volces.com")},
};

_Static_assert(NRW_COUNT(table) == BUILTIN_COUNT, "the header says how many there are");

const struct builtin *builtin_at(size_t i)
{
    return &table[i];
}

const struct builtin *builtin_by_uniform(struct str uniform)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (str_eq(table[i].uniform, uniform))
            return &table[i];
    }
    return NULL;
}

const struct builtin *builtin_by_key(struct str key)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (spring_same(table[i].uniform, key))
            return &table[i];
    }
    return NULL;
}

const struct builtin *builtin_by_hostname(struct str hostname)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (builtin_has_host(&table[i]) && str_eq(table[i].hostname, hostname))
            return &table[i];
    }
    return NULL;
}

const struct builtin *builtin_by_name(struct str name)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (str_eq(table[i].name, name))
            return &table[i];
    }
    return NULL;
}
