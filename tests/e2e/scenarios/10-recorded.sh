# shellcheck shell=bash
# helms: 4
# Scenario 10: the recorded reviews (../recorded) go to the running webhook as they are;
# every answer has to be a valid one, with the verdict that the deed deserves.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

# Nothing listed: the validating reviews were recorded without a webhook that injects.
policy --
hook_start

post() { # ENDPOINT FILE
    curl -fsS --max-time 5 --cacert "$E2E_TMP/pki/hook-ca.crt" \
        --resolve "$hook_name.$hook_namespace.svc:$E2E_HOOK_PORT:$E2E_HOOK_IP" \
        -H 'Content-Type: application/json' --data-binary "@$2" \
        "https://$hook_name.$hook_namespace.svc:$E2E_HOOK_PORT/$1?timeout=3s"
}

valid() { # REVIEW ANSWER
    jq -en --slurpfile q "$1" --slurpfile a "$2" '$a[0] as $a | $q[0] as $q |
        $a.apiVersion == "admission.k8s.io/v1" and $a.kind == "AdmissionReview" and
        $a.response.uid == $q.request.uid and ($a.response.allowed | type) == "boolean" and
        ($a.response | has("patch") == has("patchType")) and
        (($a.response.patch // "W10=") | @base64d | fromjson | type) == "array"' >/dev/null
}

# deeds that deserve a refusal; everything else is allowed
refused='kubectl-set-env|kubectl-env-configmap|kubectl-remote-config'
count=0
invalid=
wrong=
for file in "$E2E_ROOT"/recorded/*.json; do
    name=${file##*/}
    endpoint=${name#*-}
    case $name in *-mutate-*) endpoint=mutate ;; *) endpoint=validate ;; esac
    count=$((count + 1))
    if ! post "$endpoint" "$file" >"$E2E_TMP/answer.json" || ! valid "$file" "$E2E_TMP/answer.json"; then
        invalid+=" $name"
        continue
    fi
    wanted=true
    [[ ! $name =~ ^($refused)\. ]] || wanted=false
    got=$(jq .response.allowed "$E2E_TMP/answer.json")
    [ "$got" = "$wanted" ] || wrong+=" $name($got)"
done
same "$count recorded reviews get a valid answer" '' "$invalid"
same 'and the verdict that the deed deserves' '' "$wrong"
same 'twice the same answer' \
    "$(post mutate "$E2E_ROOT/recorded/helm4-install.02-mutate-CREATE-Deployment.json")" \
    "$(post mutate "$E2E_ROOT/recorded/helm4-install.02-mutate-CREATE-Deployment.json")"
