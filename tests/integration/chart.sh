#!/usr/bin/env bash
# The Helm chart, the manifests made from it, the alerts and the dashboard: what they render, what
# they refuse, that documents and rules name what is really there. Nothing is installed; that is
# tests/e2e's.
#
# With every Helm that is found: those of the control plane suite's cache, else the one on the
# PATH. CHART_HELMS names others. Without Helm, promtool or python3-yaml the tests that need them
# are skipped.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

chart=$root/deploy/chart
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nvcf-registry-webhook/bin

find_helms() {
    local helm
    if [ -n "${CHART_HELMS:-}" ]; then
        tr ' ' '\n' <<<"$CHART_HELMS"
        return
    fi
    for helm in "$cache/helm3.d/helm" "$cache/helm4.d/helm"; do
        [ ! -x "$helm" ] || echo "$helm"
    done
    [ -x "$cache/helm3.d/helm" ] || command -v helm || true
}

# as_json <YAML >JSON: the documents as one array
as_json() {
    python3 -c 'import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)'
}

# render NAMESPACE [flags…]: into $WORK/out.yaml and $WORK/out.json
render() {
    local namespace=$1
    shift
    "$HELM" template hook "$chart" --namespace "$namespace" --kube-version 1.36.0 "$@" >"$WORK/out.yaml" 2>"$BODY" &&
        as_json <"$WORK/out.yaml" >"$WORK/out.json"
}
q() { jq -r "$@" <"$WORK/out.json"; }
# no NAME FILTER: the filter finds nothing
no() { is "$1" '' "$(q "${common[*]} $2" 2>&1)"; }

# What must hold whatever the values are. Each filter yields what offends.
common=('def deployment: .[] | select(.kind == "Deployment");
def hooks: .[] | select(.kind | endswith("WebhookConfiguration")) | .webhooks[];
def roles: .[] | select(.kind | test("Role$")); def rules: roles.rules[];')
# shellcheck disable=SC2016 # jq's own variables
holds() { # NAME NAMESPACE
    unlike "$1: no caBundle" 'caBundle"?:' "$(cat "$WORK/out.yaml")"
    no "$1: no object twice" '[.[] | "\(.apiVersion) \(.kind) \(.metadata.namespace) \(.metadata.name)"] |
        group_by(.)[] | select(length > 1)[0]'
    no "$1: everything is labelled" '.[] | select(.metadata.labels."app.kubernetes.io/instance" != "hook") | .kind'
    no "$1: the pods carry what selects them" '(deployment.spec.template.metadata.labels) as $have |
        .[] | select(.kind == "Service" or .kind == "PodDisruptionBudget" or .kind == "NetworkPolicy" or .kind == "Deployment") |
        (.spec.selector.matchLabels // .spec.podSelector.matchLabels // .spec.selector) as $want |
        select(($want | length) < 2 or ($have | contains($want) | not)) | .kind'
    no "$1: the pods are restricted" 'deployment.spec.template.spec | select((.securityContext.runAsNonRoot and
        .securityContext.seccompProfile.type == "RuntimeDefault" and (.containers | length) == 1 and
        (.containers[0].securityContext == {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
        capabilities: {drop: ["ALL"]}})) | not) | .securityContext'
    no "$1: no CPU limit, memory request is its limit" 'deployment.spec.template.spec.containers[0].resources |
        select(.limits.cpu or .requests.memory != .limits.memory)'
    no "$1: the grace period is longer than draining" 'deployment.spec.template.spec | .terminationGracePeriodSeconds as $grace |
        .containers[0].args[] | select(startswith("--drain-seconds=")) | select((ltrimstr("--drain-seconds=") | tonumber) + 10 > $grace)'
    no "$1: each webhook is as it must be" 'hooks | select((.sideEffects == "None" and .matchPolicy == "Equivalent" and
        .timeoutSeconds <= 10 and .admissionReviewVersions == ["v1"] and (.rules | length) == 1 and
        .rules[0].operations == ["CREATE", "UPDATE"] and .rules[0].scope == "Namespaced" and .namespaceSelector and
        (.rules[0].resources == ["deployments"] and .objectSelector.matchLabels or .rules[0].resources == ["configmaps"]
        and (.matchConditions | length) > 1)) | not) | .name'
    no "$1: mutation is repeated when others mutate" '.[] | select(.kind == "MutatingWebhookConfiguration") | .webhooks[] |
        select(.reinvocationPolicy != "IfNeeded") | .name'
    no "$1: of the own namespace only the policy is looked at" 'hooks | select(.namespaceSelector | tostring |
        contains("\"'"$2"'\"")) | select(.rules[0].resources != ["configmaps"] or (.matchConditions[0].expression |
        startswith("object.metadata.name == ") | not)) | .name'
    no "$1: webhooks have names of their own" '[hooks.name] | group_by(.)[] | select(length > 2)[0]'
    no "$1: AKS leaves the selectors alone" '.[] | select(.kind | endswith("WebhookConfiguration")) |
        select(.metadata.annotations."admissions.enforcer/disabled" != "true") | .kind'
    no "$1: no right is a wildcard" 'rules | select(tostring | contains("*"))'
    no "$1: no right to make, change or delete what is not the webhook'\''s" 'rules | select(.resources != ["events"]) |
        select(.verbs | any(. == ("create", "delete", "deletecollection", "update", "patch"))) | select(.resourceNames | not) |
        select(.resources != ["deployments"])'
    no "$1: Secrets only by name" 'rules | select(.resources | contains(["secrets"])) | select(.resourceNames | not)'
    no "$1: cluster-wide nothing but the own configurations" '.[] | select(.kind == "ClusterRole") | .rules[] |
        select(.apiGroups != ["admissionregistration.k8s.io"] or (.resourceNames | length) != 1)'
    if q '.[] | select(.kind == "ConfigMap") | .data."policy.yaml" // empty' | grep . >"$WORK/policy"; then
        exits "$1: the policy is valid" 0 "$NRW_BIN" lint "$WORK/policy"
    fi
    # The program takes the arguments: what stops it is that there is no cluster here.
    mapfile -t args < <(q '.[] | select(.kind == "Deployment") | .spec.template.spec.containers[0].args[] |
        select(test("^--(tls-(cert|key)|client-ca)=") | not)')
    if [[ ${args[*]} == *--tls-secret* && ${args[*]} != *--client-name* ]]; then
        exits "$1: the arguments are right" 2 env -u KUBERNETES_SERVICE_HOST timeout 10 "$NRW_BIN" "${args[@]}"
        like "$1: and only the cluster is missing" 'KUBERNETES_SERVICE_HOST|in-cluster|cluster' "$(cat "$BODY")"
    fi
}

refused() { # NAME REGEX flags…
    local name=$1 regex=$2
    shift 2
    if render nvcf-registry-webhook "$@"; then
        fail "$name: refused" "it was rendered"
    else
        like "$name: refused, and why" "$regex" "$(cat "$BODY")"
    fi
}

# Every option away from its default.
cat >"$WORK/everything.yaml" <<'END'
replicaCount: 5
reconcile: true
threads: 2
hostNetwork: true
drainSeconds: 30
namespace: {create: true}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true}
dashboard: {enabled: true}
clientAuth: {secretName: api-server-ca, names: [kube-apiserver]}
policy:
  mode: Check
  enforcement: Audit
  unlisted: Deny
  opaqueSources: Deny
  registries:
    GHCR: {name: GitHub, hostname: ghcr.io}
    INTERNAL: {name: 'Corporate "Registry": #1', hostname: registry.corp.example}
    GONE: null
  native: {HARBOR: {hostname: harbor.corp.example}}
webhooks: {failurePolicy: Ignore, policyFailurePolicy: Ignore, timeoutSeconds: 5, configMapNames: [special], annotations: {a: b}}
commonLabels: {team: registry}
imagePullSecrets: [{name: pull}]
podAnnotations: {a: "1"}
podLabels: {b: "2"}
priorityClassName: system-cluster-critical
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: control-plane, operator: Exists}]
affinity: {nodeAffinity: {}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
service: {port: 8443, annotations: {c: d}}
ports: {https: 9443, metrics: 9080}
serviceAccount: {name: someone, annotations: {e: f}}
networkPolicy: {apiServerPorts: [6443], apiServerCIDRs: [10.0.0.1/32], metricsFrom: [{podSelector: {}}]}
logLevel: debug
logFormat: text
extraArgs: ["--threads=1"]
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000001"}
END
everything=(--values "$WORK/everything.yaml")
targets=(--set-json 'targets=[{"namespace": "a", "selector": {"app": "x", "tier": "y"}, "container": "api", "prefix": "NVCF"},
    {"namespace": "a", "selector": {"app": "z"}, "container": "api", "prefix": "NVCF"},
    {"namespace": "b", "selector": {"app": "x"}, "container": "api", "prefix": "NVCT"}]')

# Which ConfigMaps the API server sends.
sent() {
    q '.[] | select(.kind == "ValidatingWebhookConfiguration") | .webhooks[].matchConditions[] |
        select(.name == "configuration-of-the-api") | .expression'
}

with_helm() {
    local v values
    v=$("$HELM" version --template '{{.Version}}')
    for values in '' 'certificates.mode=certManager' 'certificates.mode=secret,certificates.secretName=mine' \
        'policy.create=false' 'serviceAccount.create=false,rbac.create=false,podDisruptionBudget.enabled=false,networkPolicy.enabled=false'; do
        exits "$v: lint is clean: ${values:-defaults}" 0 "$HELM" lint --strict "$chart" --set "$values"
        if render nvcf-registry-webhook --set "$values"; then
            holds "$v, ${values:-defaults}" nvcf-registry-webhook
        else
            fail "$v: renders: $values" "$(cat "$BODY")"
        fi
    done
    render nvcf-registry-webhook
    is "$v: an API server waits three seconds at most" 3 "$(q "${common[*]} [hooks.timeoutSeconds] | unique | join(\",\")")"
    render elsewhere "${everything[@]}" && holds "$v, everything" elsewhere
    is "$v: what may scrape, and where the API server is" '[{"podSelector":{}}] 10.0.0.1/32' "$(q '.[] | select(.kind ==
        "NetworkPolicy") | "\(.spec.ingress[1].from | tojson) \(.spec.egress[0].to[0].ipBlock.cidr)"')"
    is "$v: the account's name" someone "$(q '[.[] | (.subjects // [])[].name, .spec.template.spec.serviceAccountName,
        (select(.kind == "ServiceAccount") | .metadata.name) | select(.)] | unique | join(",")')"
    is "$v: the common label is everywhere" '' "$(q '.[] | select(.metadata.labels.team != "registry") | .kind')"
    is "$v: a registry that is null is not in the policy" '' "$(grep GONE "$WORK/out.yaml" || true)"
    is "$v: Ignore is for all webhooks" Ignore "$(q '[.[] | select(.kind | endswith("WebhookConfiguration")) |
        .webhooks[].failurePolicy] | unique | join(",")')"
    render elsewhere --set certificates.mode=certManager "${everything[@]}" && holds "$v, everything with cert-manager" elsewhere
    is "$v: the CA's key is not mounted" 'tls.crt tls.key' "$(q '.[] | select(.kind == "Deployment") |
        .spec.template.spec.volumes[] | select(.name == "tls") | [.secret.items[].key] | join(" ")')"
    is "$v: cert-manager is asked to publish" 'elsewhere/hook-nvcf-registry-webhook' "$(q '[.[] | select(.kind |
        endswith("WebhookConfiguration")) | .metadata.annotations."cert-manager.io/inject-ca-from"] | unique | join(",")')"
    is "$v: and to issue for the Service" 'hook-nvcf-registry-webhook.elsewhere.svc' "$(q '.[] | select(.kind ==
        "Certificate") | .spec.dnsNames[0] // empty')"
    render elsewhere "${targets[@]}" && holds "$v, other targets" elsewhere
    is "$v: a Role in each target's namespace" 'a b elsewhere' "$(q '[.[] | select(.kind == "Role") | .metadata.namespace] | sort | join(" ")')"
    like "$v: ConfigMaps by the labels of each target" \
        "'app' in o.metadata.labels && o.metadata.labels\['app'\] == 'x' && 'tier' in .* == 'y' \|\| 'app' in .* == 'z'" \
        "$(sent)"
    like "$v: a profile may follow the remote configuration's name, there" "matches\\('-\\(env\\$\\|remote-config\\(-\\|\\$\\)\\)'\\)" "$(sent)"
    like "$v: and in the suffixes" "endsWith\\('nvct-api-remote-config'\\) \\|\\| object.metadata.name.contains\\('nvct-api-remote-config-'\\) \\|\\|" "$(sent)"
    unlike "$v: no other's" "contains\\('nvct-api-env" "$(sent)"
    is "$v: a webhook for each target, told apart" \
        'api.a.mutate api-2.a.mutate api.b.mutate' "$(q '[.[] | select(.kind == "MutatingWebhookConfiguration") |
        .webhooks[].name | sub(".nvcf-registry-webhook.dev$"; "")] | join(" ")')"
    PATH=$(dirname "$HELM"):$PATH HELM=$HELM exits "$v: deploy/manifests are in step" 0 "$root/deploy/render.sh" --check

    refused "$v: a mistyped value" 'replicaCuont' --set replicaCuont=3
    refused "$v: Secret mode without a Secret" 'secretName' --set certificates.mode=secret
    refused "$v: the own namespace as target" 'own namespace' --set 'targets[0].namespace=nvcf-registry-webhook' \
        --set targets[0].selector.a=b,targets[0].container=c,targets[0].prefix=NVCF
    refused "$v: a target without a selector" 'selector' --set-json 'targets=[{"namespace": "a", "container": "c", "prefix": "NVCF"}]'
    refused "$v: no targets" 'targets' --set-json 'targets=[]'
    refused "$v: a key in lower case" 'ghcr' --set policy.registries.ghcr.name=G,policy.registries.ghcr.hostname=ghcr.io
    refused "$v: half a registry" 'hostname' --set policy.registries.GHCR.name=G
    refused "$v: a hostname with a scheme" 'hostname' --set policy.registries.GHCR.name=G,policy.registries.GHCR.hostname=https://ghcr.io
    refused "$v: a hostname in capitals" 'hostname' --set policy.registries.GHCR.name=G,policy.registries.GHCR.hostname=GHCR.io
    refused "$v: a hostname with a port" 'hostname' --set policy.registries.GHCR.name=G,policy.registries.GHCR.hostname=ghcr.io:5000
    refused "$v: a built-in's key" 'DOCKER|policy.registries' --set policy.registries.DOCKER.name=D,policy.registries.DOCKER.hostname=d.example
    refused "$v: a built-in's key as Spring spells it" 'ECRPUBLIC|policy.registries' --set policy.registries.ECRPUBLIC.name=D,policy.registries.ECRPUBLIC.hostname=d.example
    render nvcf-registry-webhook --set policy.registries.SIX.name=S --set-string 'policy.registries.SIX.hostname=[fd00::1]' ||
        fail "$v: an IPv6 address as a hostname" "$(cat "$BODY")"
    refused "$v: names of clients whose certificate nobody asks for" 'clientAuth.names.*clientAuth.secretName' --set 'clientAuth.names={apiserver}'
    refused "$v: two listeners on one port" 'ports.https and ports.metrics are both 8080' --set ports.https=8080
    refused "$v: an unknown mode" 'mode' --set policy.mode=inject
    refused "$v: another built-in as native" 'DOCKER' --set policy.native.DOCKER.hostname=a.example
    refused "$v: an unknown failurePolicy" 'failurePolicy' --set webhooks.failurePolicy=fail
    refused "$v: a timeout of a minute" 'timeoutSeconds' --set webhooks.timeoutSeconds=60
    refused "$v: no replicas" 'replicaCount' --set replicaCount=0
    refused "$v: a quote in a ConfigMap's name" 'configMapNames' --set "webhooks.configMapNames[0]=a' || true"
    refused "$v: a quote in a selector" 'selector' --set-json "targets=[{\"namespace\": \"a\", \"selector\": {\"a\": \"b' || true\"}, \"container\": \"c\", \"prefix\": \"NVCF\"}]"
    refused "$v: a cluster that is too old" 'kubeVersion|incompatible' --kube-version 1.25.0
}

# docs/OPERATIONS.md, "As a Helm post-renderer": as it stands there, in a folder with policy.yaml.
post_rendered() { # RELEASE-VALUE…
    local flags=(--post-renderer nvcf-registry)
    [[ $v != v3.* ]] || flags=(--post-renderer nvcf-registry-webhook
        --post-renderer-args=review --post-renderer-args=-ppolicy.yaml --post-renderer-args=-opatched)
    (cd "$WORK/post" && PATH=$WORK/post/bin:$PATH HELM_PLUGINS=$WORK/post/plugins HELM_CACHE_HOME=$WORK/post/cache \
        "$HELM" template api "$root/tests/e2e/charts/helm-nvcf-api" -n nvcf "${flags[@]}" "$@")
}
post_renderer() {
    local v plugin=$WORK/post/plugins/nvcf-registry
    v=$("$HELM" version --template '{{.Version}}')
    rm -rf "$WORK/post"
    mkdir -p "$WORK/post/bin" "$WORK/post/plugins"
    make_policy "$WORK/post/policy.yaml"
    ln -s "$NRW_BIN" "$WORK/post/bin/nvcf-registry-webhook"
    if [[ $v != v3.* ]]; then
        mkdir "$plugin"
        sed -n '/^# plugin.yaml$/,/^```$/p' "$root/docs/OPERATIONS.md" | sed '$d' >"$plugin/plugin.yaml"
    fi
    exits "$v: as a post-renderer" 0 post_rendered
    like "$v: it gives Helm what would be admitted" 'value: registry.corp.example' "$(cat "$BODY")"
    exits "$v: and ends it when something is denied" 1 post_rendered --set-string \
        api.env.NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME=mirror.corp.example
}

documented() {
    local key
    for key in $(python3 - "$chart/values.yaml" <<'END'
import sys, yaml
def leaves(value, path):
    if isinstance(value, dict) and value and path not in ("resources", "dashboard.labels"):
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path
print("\n".join(leaves(yaml.safe_load(open(sys.argv[1])), "")))
END
    ); do
        # shellcheck disable=SC2016 # backquotes of Markdown
        like "the README has $key" '^\| `'"${key//./[.]}"'` \|' "$(cat "$chart/README.md")"
    done
}

# What rules and dashboard ask for, the program exports.
metrics_are_there() {
    local name have
    start_server --demo --drain-seconds 0
    have=$(curl -sf "$METRICS_URL/metrics" | sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p')
    while read -r name; do
        like "there is a metric $name" "^$name\$" "$have"
    done < <(cat "$chart"/files/* | grep -oE '(nvcf_registry_webhook|process)_[a-z_0-9]+' | sed 's/_bucket$//' | sort -u)
    while read -r name; do
        like "docs/OPERATIONS.md has $name" "\`$name\`" "$(sed -n '/^## Metrics/,/^## /p' "$root/docs/OPERATIONS.md" | sed '1d;$d')"
    done < <(sed -n 's/^nvcf_registry_webhook_//p' <<<"$have")
    stop_server
}

unlike "the chart asks the cluster nothing while it renders" 'lookup|Capabilities.APIVersions' "$(cat "$chart"/templates/*)"
exits "the dashboard is JSON" 0 jq -e '.panels | length > 10' "$chart/files/dashboard.json"
is "its panels have numbers of their own" true "$(jq '[.panels[].id] | length == (unique | length)' "$chart/files/dashboard.json")"
metrics_are_there
# The chart is the same whatever the program was built with.
[ "${NRW_FLAVOUR:-release}" = release ] || finish
if command -v promtool >/dev/null; then
    exits "the alerts are right" 0 promtool check rules "$chart/files/rules.yaml"
    # The dashboard's questions, as Grafana would fill them in.
    jq '{groups: [{name: "dashboard", rules: [.panels[].targets[]?.expr | gsub("\\$__rate_interval"; "5m")] |
        to_entries | map({record: "x\(.key)", expr: .value})}]}' "$chart/files/dashboard.json" >"$WORK/dashboard.rules"
    exits "the dashboard's questions are PromQL" 0 promtool check rules "$WORK/dashboard.rules"
    like "all of them" "$(jq '[.panels[].targets[]?] | length' "$chart/files/dashboard.json") rules found" "$(cat "$BODY")"
    exits "the alerts fire when they should" 0 promtool test rules "$root/deploy/alerts/tests.yaml"
    while read -r alert; do
        like "a test lets $alert fire" "\"$alert\"" "$(cat "$root/deploy/alerts/tests.yaml")"
        like "the runbook has $alert" "$alert" "$(cat "$root/docs/OPERATIONS.md")"
    done < <(sed -n 's/.*- alert: //p' "$chart/files/rules.yaml")
else
    skip "alerts" "promtool is not installed (Debian: prometheus)"
fi
if ! python3 -c 'import yaml' 2>/dev/null; then
    skip "chart" "python3-yaml is not installed"
elif [ -z "$(find_helms)" ]; then
    skip "chart" "no Helm here; tests/e2e/tools/build.sh helm3 helm4 fetches both"
else
    documented
    while read -r HELM; do with_helm; post_renderer; done < <(find_helms)
fi
finish
