# shellcheck shell=bash
# The environment that a container of a Deployment is started with, as the kubelet makes it,
# and with it a question for the reference program (tests/spring).
#
# The rule is that of makeEnvironmentVariables in Kubernetes' pkg/kubelet/kubelet_pods.go,
# v1.36: first envFrom in its order, each with its prefix, later ones over earlier ones; then
# env in its order over all of that, `$(NAME)` expanded from what is set by then
# (third_party/forked/golang/expansion: `$$` is `$`, an unknown NAME stays as it is). Not
# made: service variables, which have no dots or underscores of ours.
#
# Needs: helm.sh. Left to others: what is asked, and the verdict.

# pod_environment: of the first container of $deployment, as a JSON object
pod_environment() {
    local maps secrets
    maps=$(kubectl -n nvcf get configmaps -o json)
    secrets=$(kubectl -n nvcf get secrets -o json)
    deployment_json | jq --argjson maps "$maps" --argjson secrets "$secrets" '
        def data($list; $ref):
            [$list.items[] | select(.metadata.name == $ref.name)][0] as $found
            | if $found != null then $found.data // {}
              elif $ref.optional then {}
              else error("there is no \($ref.name)") end;
        def decoded: map_values(@base64d);
        def expanded($set):
            if . == "" then ""
            elif startswith("$$") then "$" + (.[2:] | expanded($set))
            elif test("^\\$\\([^)]*\\)") then
                capture("^\\$\\((?<name>[^)]*)\\)").name as $name
                | ($set[$name] // "$(\($name))") + (.[($name | length) + 3:] | expanded($set))
            else .[:1] + (.[1:] | expanded($set)) end;
        def from($set):
            if .configMapKeyRef then data($maps; .configMapKeyRef)[.configMapKeyRef.key]
            elif .secretKeyRef then (data($secrets; .secretKeyRef) | decoded)[.secretKeyRef.key]
            else "of the pod" end;
        .spec.template.spec.containers[0]
        | reduce (.env // [])[] as $var (
            reduce (.envFrom // [])[] as $from ({};
                . + (if $from.configMapRef then data($maps; $from.configMapRef)
                     else data($secrets; $from.secretRef) | decoded end
                     | with_entries(.key |= ($from.prefix // "") + .)));
            . as $set | .[$var.name] =
                if ($var.value // "") != "" then $var.value | expanded($set)
                elif $var.valueFrom then $var.valueFrom | from($set)
                else "" end)'
}

# pod_question ID SERVICE IMAGE…: one line for tests/spring/reference.sh
pod_question() {
    local env name remote=null
    env=$(pod_environment)
    if [ "$(jq -r '.REMOTE_CONFIG_ENABLED' <<<"$env")" = true ]; then
        name=$(jq -r '.REMOTE_CONFIG_NAME' <<<"$env")
        remote=$(kubectl -n nvcf get configmap "$name" -o json | jq '[.data // {} | .[]] | join("\n---\n")')
    fi
    jq -nc --arg id "$1" --arg service "$2" --argjson env "$env" --argjson remote "$remote" \
        --argjson args "$(deployment_json | jq '.spec.template.spec.containers[0].args // []')" '
        {id: $id, service: $service, env: $env, args: $args, images: $ARGS.positional}
        + if $remote == null then {} else {remote: $remote} end' --args "${@:3}"
}
