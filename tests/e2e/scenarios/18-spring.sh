# shellcheck shell=bash
# shellcheck disable=SC2016 # $by is jq's, $(VAR) is Kubernetes'
# helms: 4
# Scenario 18: what the API would make of it. The environments that the pods of the other
# scenarios get are given to Spring itself (tests/spring): after the guide's steps the image is
# recognised; and each thing that is refused, forced in past the webhook, does what the
# refusal says: the API does not start, a built-in is taken over, or the registry is silently
# not there.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"
# shellcheck source=../lib/pod.sh
. "$E2E_LIB/pod.sh"

questions=$E2E_TMP/spring.questions answers=$E2E_TMP/spring.answers
: >"$questions"
api=api-helm-nvcf-api tasks=tasks-helm-nvcf-nvct-api
both='targets:
  - namespace: nvcf
    selector: {app.kubernetes.io/name: helm-nvcf-api}
    container: helm-nvcf-api
    prefix: NVCF
  - namespace: nvcf
    selector: {app.kubernetes.io/name: helm-nvcf-nvct-api}
    container: helm-nvcf-nvct-api
    prefix: NVCT'
mapfile -t flags < <(key_flags GHCR ghcr.io 'GitHub Container Registry')
mapfile -t task_flags < <(key_flags GHCR ghcr.io 'GitHub Container Registry' "$task_registry" nvctApi.env)

# on DEPLOYMENT: the one that is looked at
on() { deployment=$1; }
# question ID SERVICE IMAGE…
question() { pod_question "$@" >>"$questions"; }

if ! reason=$("$E2E_ROOT/../spring/reference.sh" 2>&1 </dev/null); then
    skip 'what Spring makes of the pods' "$(tail -n 1 <<<"$reason")"
    exit 0
fi

# ---- the guide's steps
check 'the functions API is there' api_install
check 'the tasks API is there' tasks_install
on "$api"; question before-nvcf nvcf ghcr.io/org/image:tag
on "$tasks"; question before-nvct nvct ghcr.io/org/image:tag
policy "$both" -- 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
check "the guide's upgrade of the functions API" api_upgrade "${flags[@]}"
check "the guide's upgrade of the tasks API" tasks_upgrade "${task_flags[@]}"
on "$api"; question guide-nvcf nvcf ghcr.io/org/image:tag docker.io/library/busybox
on "$tasks"; question guide-nvct nvct ghcr.io/org/image:tag docker.io/library/busybox

# ---- other ways in: a prefix, $(VAR), the remote configuration
on "$api"
kubectl -n nvcf create configmap more --from-literal=CORP_NAME=Corporate \
    --from-literal=CORP_HOSTNAME=registry.corp.example >/dev/null
check 'a prefix of envFrom and a $(VAR) in env are let through' kubectl -n nvcf patch "deployment/$api" \
    --type json -p '[{"op": "add", "path": "/spec/template/spec/containers/0/envFrom/-",
        "value": {"prefix": "'"${registry}"'_", "configMapRef": {"name": "more"}}},
      {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "DOMAIN", "value": "quay"}},
      {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "'"${registry}"'_QUAY_NAME", "value": "Quay"}},
      {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "'"${registry}"'_QUAY_HOSTNAME", "value": "$(DOMAIN).io"}}]'
check 'and a registry in the remote configuration' kubectl -n nvcf patch configmap "$api-remote-config" \
    --type merge -p '{"data": {"nvcf-api.yaml": "nvcf: {registries: {recognized: {container: {lab: {name: Lab, hostname: lab.example}}}}}"}}'
question ways nvcf ghcr.io/org/image:tag registry.corp.example/a quay.io/b lab.example/c
check 'Helm sets the remote configuration right again' api_reset --force-conflicts "${flags[@]}"

# ---- what is refused, and then forced in
# ID, SERVICE, KEY_PROPERTY=VALUE…; the images asked about are in `images`
ids=() services=() sets=()
refused() {
    local id=$1 service=$2 release=api values=api.env prefix=$registry pair list=()
    shift 2
    [ "$service" = nvcf ] || { release=tasks values=nvctApi.env prefix=$task_registry; }
    for pair in "$@"; do list+=(--set-string "$values.${prefix}_$pair"); done
    expect_refused "refused: $id" "${release}_reset" "${list[@]}"
    ids+=("$id") services+=("$service")
    sets+=("$(printf '%s\n' "${list[@]}")")
}
refused 'Docker Hub taken over' nvcf 'DOCKER_NAME=Mirror' 'DOCKER_HOSTNAME=mirror.corp.example'
refused 'NGC taken over' nvcf 'NGC_HOSTNAME=mirror.corp.example'
refused 'ECR Public without its dash' nvcf 'ECRPUBLIC_HOSTNAME=mirror.corp.example' 'ECRPUBLIC_NAME=Mirror'
refused 'a second docker.io' nvcf 'HUB_NAME=My Hub' 'HUB_HOSTNAME=docker.io'
refused 'the name of a built-in' nvcf 'HUB_NAME=Docker Hub Registry' 'HUB_HOSTNAME=mirror.corp.example'
refused 'a host without a name' nvcf 'GITLAB_HOSTNAME=mirror.corp.example'
refused 'a blank name' nvcf 'GITLAB_NAME= ' 'GITLAB_HOSTNAME=mirror.corp.example'
refused 'no duration' nvcf 'NGC_CALLTIMEOUT=soon'
refused 'an underscore in the key' nvcf 'MY_REG_NAME=Mine' 'MY_REG_HOSTNAME=mirror.corp.example'
refused 'a port' nvcf 'MINE_NAME=Mine' 'MINE_HOSTNAME=mirror.corp.example:5000'
refused 'a scheme' nvcf 'MINE_NAME=Mine' 'MINE_HOSTNAME=https://mirror.corp.example'
refused 'a host that becomes NGC' nvcf 'CANARY_NAME=Canary' 'CANARY_HOSTNAME=canary.nvcr.io'
refused 'Docker Hub taken over, tasks' nvct 'DOCKER_NAME=Mirror' 'DOCKER_HOSTNAME=mirror.corp.example'
refused 'a second docker.io, tasks' nvct 'HUB_NAME=My Hub' 'HUB_HOSTNAME=docker.io'
refused 'a host without a name, tasks' nvct 'GITLAB_HOSTNAME=mirror.corp.example'
remote='{"data": {"nvcf-api.yaml": "nvcf: {registries: {recognized: {container: {docker: {hostname: mirror.corp.example}}}}}"}}'
expect_refused 'refused: Docker Hub taken over, remotely' \
    kubectl -n nvcf patch configmap "$api-remote-config" --type merge -p "$remote"

hook_unconfig
images=(docker.io/library/busybox nvcr.io/org/image mirror.corp.example/a mirror.corp.example:5000/a canary.nvcr.io/a)
for i in "${!ids[@]}"; do
    mapfile -t list <<<"${sets[i]}"
    if [ "${services[i]}" = nvcf ]; then on "$api"; release=api; else on "$tasks"; release=tasks; fi
    check "forced in: ${ids[i]}" "${release}_reset" "${list[@]}"
    question "${ids[i]}" "${services[i]}" "${images[@]}"
done
on "$api"
check 'forced in: Docker Hub taken over, remotely' api_reset
kubectl -n nvcf patch configmap "$api-remote-config" --type merge -p "$remote" >/dev/null
question 'Docker Hub taken over, remotely' nvcf "${images[@]}"

# ---- Spring is asked
run "$E2E_ROOT/../spring/reference.sh" <"$questions"
printf '%s\n' "$OUT" >"$answers"
same 'Spring answers each' "$(wc -l <"$questions")" "$(jq -s length "$answers")"

# spring ID EXPRESSION: of its answer; `$by` maps an image to the name of its registry
spring() {
    jq -es --arg id "$1" '.[] | select(.id == $id) |
        ([.images[]? | {(.image): .registry}] | add) as $by | '"$2" "$answers" >/dev/null
}
# outcome WHAT ID EXPRESSION: prints what Spring said, the exception included
outcome() {
    check "$1" spring "$2" "$3"
    jq -rs --arg id "$2" '.[] | select(.id == $id) | select(.starts | not) |
        "          \(.exception): " + (.rootMessage // .message | gsub("\\s+"; " ") | .[:160])' "$answers"
}
hub='"Docker Hub Registry"'
for service in nvcf nvct; do
    check "$service: before the guide ghcr.io is not recognised" \
        spring "before-$service" '.starts and $by["ghcr.io/org/image:tag"] == null'
    check "$service: after it, it is" spring "guide-$service" \
        '.starts and $by["ghcr.io/org/image:tag"] == "GitHub Container Registry"'
    check "$service: and Docker Hub still is" spring "guide-$service" '$by["docker.io/library/busybox"] == '"$hub"
done
check 'a prefix, a $(VAR) and the remote configuration bring theirs' spring ways '.starts and
    $by["registry.corp.example/a"] == "Corporate" and $by["quay.io/b"] == "Quay" and
    $by["lab.example/c"] == "Lab" and $by["ghcr.io/org/image:tag"] == "GitHub Container Registry"'
for id in 'Docker Hub taken over' 'Docker Hub taken over, tasks' 'Docker Hub taken over, remotely'; do
    outcome "Spring: $id" "$id" '.starts and $by["docker.io/library/busybox"] == null and
        $by["mirror.corp.example/a"] == '"$hub"
done
outcome 'Spring: NGC taken over' 'NGC taken over' '.starts and $by["nvcr.io/org/image"] == null and
    $by["mirror.corp.example/a"] == "NGC Private Registry"'
for id in 'ECR Public without its dash' 'a second docker.io' 'the name of a built-in' \
    'a second docker.io, tasks'; do
    outcome "Spring does not start: $id" "$id" '(.starts | not) and .kind == "duplicate"'
done
for id in 'a host without a name' 'a blank name' 'a host without a name, tasks'; do
    outcome "Spring does not start: $id" "$id" '(.starts | not) and .kind == "validation"'
done
outcome 'Spring does not start: no duration' 'no duration' '(.starts | not) and .kind == "conversion"'
for id in 'an underscore in the key' 'a port' 'a scheme'; do
    outcome "Spring starts, and the registry is not there: $id" "$id" \
        '.starts and $by["mirror.corp.example/a"] == null and $by["mirror.corp.example:5000/a"] == null'
done
outcome 'Spring starts, and NGC serves it: a host that becomes NGC' 'a host that becomes NGC' \
    '.starts and $by["canary.nvcr.io/a"] == "NGC Private Registry"'
