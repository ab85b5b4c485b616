# shellcheck shell=bash
# helms: 4
# Objects of unusual shape, made with kubectl: what the webhook answers has to be a patch
# that the real API server can apply, whatever the Deployment looks like.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
host=${registry}_GHCR_HOSTNAME

# make NAME CONTAINERS [METADATA]: a target Deployment, containers and more metadata as flow YAML
make() {
    kubectl create -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, namespace: nvcf, labels: {app.kubernetes.io/name: helm-nvcf-api}${3:+, $3}}
spec:
  replicas: 1
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec: {containers: $2}
END
}
containers() { kubectl -n nvcf get deployment "$1" -o json | jq -c '.spec.template.spec.containers'; }
injected() { containers "$1" | jq -e --arg n "$host" 'any(.[] | select(.name == "helm-nvcf-api").env[]; .name == $n)'; }
target='name: helm-nvcf-api, image: stand-in.invalid/x'

check 'no env at all' make bare "[{$target}]"
check '  is injected' injected bare
check 'an empty env' make empty "[{$target, env: []}]"
check '  is injected' injected empty
check 'the target is the second of three containers' make second \
    "[{name: a, image: stand-in.invalid/a}, {$target, env: [{name: A, value: b}]}, {name: z, image: stand-in.invalid/z}]"
check '  it is injected' injected second
same '  and the others are not' '[false,true,false]' "$(containers second | jq -c 'map(has("env"))')"
expect_refused 'no such container' make stranger '[{name: other, image: stand-in.invalid/x}]'
expect_text '  says which is missing' ContainerNotFound helm-nvcf-api
check 'a listed variable as a reference' make reference \
    "[{$target, env: [{name: $host, valueFrom: {configMapKeyRef: {name: some, key: k}}}, {name: B, value: 'x'}]}]"
same '  is there once, with the value of the policy' '["ghcr.io"]' "$(containers reference |
    jq -c --arg n "$host" '[.[0].env[] | select(.name == $n) | .value]')"
check '  the API server was content with it' kubectl -n nvcf rollout status deployment/reference --timeout=60s
expect_refused 'the same variable twice' make twice \
    "[{$target, env: [{name: $host, value: ghcr.io}, {name: $host, value: mirror.example}]}]"
expect_text '  says so' DuplicateVariable "$host"
check 'values that need escapes' make escapes \
    "[{$target, env: [{name: TEXT, value: \"a\\\"b\\\\c\\u00e9<&>\\n\\t\\u2028 \\U0001F600\"}]}]"
check '  are injected' injected escapes
same '  and unchanged' '"a\"b\\c\u00e9<&>\n\t\u2028 \ud83d\ude00"' \
    "$(containers escapes | jq -ac '.[0].env[0].value')"
check 'names that only Kubernetes allows' make names \
    "[{$target, env: [{name: my-dash.and.dot, value: v}, {name: 'with space', value: w}]}]"
check '  are injected' injected names
check 'an annotation with a slash' make notes "[{$target}]" \
    'annotations: {"a.example/b_c": "d"}'
same '  is kept' d "$(kubectl -n nvcf get deployment notes -o json | jq -r '.metadata.annotations["a.example/b_c"]')"

big=$(head -c 200000 /dev/zero | tr '\0' x)
check 'a Deployment of 200 KB' make big "[{$target, env: [{name: BIG, value: '$big'}]}]"
check '  is injected' injected big
expect_ok 'a ConfigMap of 900 KB' bash -c "head -c 900000 /dev/zero | tr '\\0' y |
    kubectl -n nvcf create configmap large-nvcf-api-env --from-file=BIG=/dev/stdin"
check 'a ConfigMap with binary data' bash -c "head -c 3000 /dev/urandom |
    kubectl -n nvcf create configmap binary-nvcf-api-env --from-file=BLOB=/dev/stdin"
check 'an empty ConfigMap' kubectl -n nvcf create configmap empty-nvcf-api-env
check 'a ConfigMap that cannot be changed any more' kubectl -n nvcf patch configmap empty-nvcf-api-env --type merge \
    -p '{"immutable": true}'

check 'a name that the API server makes' kubectl create -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {generateName: made-, namespace: nvcf, labels: {app.kubernetes.io/name: helm-nvcf-api}}
spec:
  selector: {matchLabels: {app: made}}
  template: {metadata: {labels: {app: made}}, spec: {containers: [{$target}]}}
END
made=$(kubectl -n nvcf get deployments -o name | sed -n 's,.*/\(made-.*\),\1,p')
check '  is injected' injected "$made"
check 'kubectl replace without the variables' bash -c "kubectl -n nvcf get deployment second -o json |
    jq 'del(.spec.template.spec.containers[1].env[] | select(.name | startswith(\"NVCF\")))' | kubectl replace -f -"
check '  brings them back' injected second
check 'a StatefulSet with the same labels is not ours' kubectl create -f - <<END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: other, namespace: nvcf, labels: {app.kubernetes.io/name: helm-nvcf-api}}
spec:
  serviceName: other
  selector: {matchLabels: {app: other}}
  template: {metadata: {labels: {app: other}}, spec: {containers: [{$target}]}}
END
kubectl -n nvcf delete statefulset other >/dev/null
check 'the label taken away: opting out is allowed' kubectl -n nvcf label deployment bare app.kubernetes.io/name-
check '  and then it is nobody of ours' kubectl -n nvcf set env deployment/bare "${registry}_DOCKER_HOSTNAME=x.example"
# Its env is as it was, but it was never judged: opting out and back is no way past the policy.
expect_refused '  coming back with a collision is refused' kubectl -n nvcf label deployment bare \
    app.kubernetes.io/name=helm-nvcf-api
expect_text '    by name' 'BuiltinCollision DOCKER'
check '  and put right first, it comes back' kubectl -n nvcf set env deployment/bare "${registry}_DOCKER_HOSTNAME-"
check '    under the policy' kubectl -n nvcf label deployment bare app.kubernetes.io/name=helm-nvcf-api
check 'foreground deletion' kubectl -n nvcf delete deployment second --cascade=foreground --timeout=30s

parallel() { # 40 changes from four sides at once
    local i pids=() pid failed=0
    for i in 1 2 3 4; do
        (for n in {1..10}; do
            kubectl -n nvcf annotate deployment empty "side-$i=$n" --overwrite >/dev/null || exit 1
        done) &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    return "$failed"
}
check '40 changes from four sides' parallel
check '  and it still has every variable once' bash -c "kubectl -n nvcf get deployment empty -o json |
    jq -e '[.spec.template.spec.containers[0].env[].name] | length == 2 and length == (unique | length)'"
