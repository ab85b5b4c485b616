/* What `serve` has from the cluster (app/cluster.h), against the API server of
 * api_server.h: the policy, what the watch sees, and what an admission then answers. */
#ifndef NRW_TESTS_UNIT_SUPPORT_CLUSTER_FIXTURE_H
#define NRW_TESTS_UNIT_SUPPORT_CLUSTER_FIXTURE_H

#include "admit/admit.h"
#include "app/cluster.h"
#include "tests/unit/support/api_server.h"
#include "tests/unit/support/publish_fixture.h"

#define POLICIES    "/api/v1/namespaces/hook/configmaps"
#define MAPS        "/api/v1/namespaces/nvcf/configmaps"
#define EVENTS      "POST /apis/events.k8s.io/v1/namespaces/"
#define LIST(items) "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" items "]}"
#define MAP(space, name, version, data)                                                  \
    "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" space \
    "\",\"uid\":\"u-1\",\"resourceVersion\":\"" version "\"},\"data\":" data "}"
#define HEAD                                                                             \
    "apiVersion: nvcf-registry-webhook/v1\\nkind: RegistryPolicy\\nregistries:\\n"
#define GOOD   GOOD_AND("")
#define STRICT GOOD_AND("opaqueSources: Deny\\n")
#define GOOD_AND(more)                                                                   \
    "{\"policy.yaml\":\"" HEAD "  GHCR: {name: GitHub, hostname: ghcr.io}\\n" more "\"}"
#define POLICY(version, data) MAP("hook", "policy", version, data)

#define DOCKER     "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME"
#define FROM(name) "{\"configMapRef\":{\"name\":\"" name "\"}}"
#define TAKEOVER                                                                         \
    "{\"x.yaml\":\"nvcf: {registries: {recognized: {container: {docker: "                \
    "{hostname: m.example}}}}}\"}"
#define LOOKED(it)   api_count((it)->server, "GET " MAPS "/")
#define REMOTE(name) "{\"name\":\"REMOTE_CONFIG_NAME\",\"value\":\"" name "\"}"

struct fixture {
    struct api_server *server;
    struct publish_fixture app;
    struct cluster *cluster;
    struct app_cluster options;
    char kubeconfig[64];
    size_t decision;    /* what one in the turn may take; 0: 64 MiB */
    size_t maximum;     /* bytes of ConfigMaps that are kept; 0: 1 MiB */
    const char *policy; /* of fixture_start_with(); NULL: GOOD */
    char said[8192];    /* the last answer */
};

/* For cmocka: *state is the fixture, which nothing has joined yet. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

bool fixture_join(struct fixture *it, struct err *err);
void fixture_start(struct fixture *it); /* joins, and starts */
/* With these in the list of ConfigMaps; waits until so many are kept. */
void fixture_start_with(struct fixture *it, const char *list, size_t count);
bool fixture_has_maps(struct fixture *it, size_t count);

/* What is said of an AdmissionReview: "yes", "opaque" (allowed, with an OpaqueSource),
 * "collision", "denied: opaque" or "denied". */
const char *fixture_answered(struct fixture *it, enum admit_endpoint endpoint,
                             const char *body);
/* The review of a new Deployment with these entries of env and envFrom, until the next
 * call; what is said of it. */
const char *fixture_body(const char *env, const char *env_from);
const char *fixture_allowed_by(struct fixture *it, const char *env, const char *env_from);

#endif
