# shellcheck shell=bash
# helms: 4
# Too much of everything: a thousand edits of the policy, every tenth of them not valid,
# and hundreds of ConfigMaps that change all the time. Every answer meanwhile is by a policy that
# was valid, the last edit is in force at the end, and neither memory, threads nor Events
# grow with it.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

edits=1000
ghcr='GHCR=ghcr.io=GitHub Container Registry'
kubectl delete --raw "/api/v1/namespaces/$hook_namespace/events" >/dev/null
hook_up_live < <(policy_text -- "$ghcr" 'STORM=r0.corp.example=Storm')
pid=$(cat "$E2E_TMP/webhook.pid")
# What is not valid would be refused on its way in; here it is to arrive.
kubectl patch validatingwebhookconfiguration "$hook_name" --type json \
    -p '[{"op": "remove", "path": "/webhooks/2"}]' >/dev/null

proxy_start # a kubectl for each edit would take a minute by itself
folder=$E2E_TMP/storm
mkdir -p "$folder"
# patches FILE-PREFIX PATH…: a curl configuration that patches each path with PREFIX.N
patches() {
    local prefix=$1 n=0 path
    shift
    for path in "$@"; do
        n=$((n + 1))
        [ "$n" -eq 1 ] || echo next
        printf 'url = "%s%s"\nrequest = PATCH\nheader = "Content-Type: application/merge-patch+json"\n' "$api" "$path"
        printf 'data-binary = "@%s.%d"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nsilent\nmax-time = 20\n' "$prefix" "$n"
    done
}

# ---- who asks meanwhile: a Deployment to inject, and one that must be refused
canary_json good >"$folder/good.json"
canary_json bad "${registry}_DOCKER_HOSTNAME" >"$folder/bad.json"
for name in good bad; do
    [ "$name" = good ] || echo next
    printf 'url = "%s/apis/apps/v1/namespaces/nvcf/deployments?dryRun=All"\n' "$api"
    printf 'header = "Content-Type: application/json"\ndata-binary = "@%s"\nsilent\nmax-time = 20\n' "$folder/$name.json"
done >"$folder/ask"
asker=
ask_on() { # a pair of questions at a time until ask_end, answers in $folder/answers
    : >"$folder/answers"
    : >"$folder/asking"
    while [ -e "$folder/asking" ]; do
        curl -K "$folder/ask" >>"$folder/answers" || true
        echo pair >>"$folder/asked"
        grep '^Threads:' "/proc/$pid/status" >>"$folder/threads"
        sleep 0.02
    done &
    asker=$!
}
ask_end() {
    rm -f "$folder/asking"
    wait "$asker" || true
}
# judged WHAT: every answer so far. /mutate and /validate are two calls: where the policy
# changes between them the second refuses by the newer one what the first has injected.
judged() {
    local asked right refused newer
    asked=$(wc -l <"$folder/asked")
    right=$(jq -s --arg p "$registry" '[.[] | select(.kind == "Deployment" and .metadata.name == "good") |
        [.spec.template.spec.containers[0].env[] | {(.name): .value}] | add |
        select(.[$p + "_GHCR_HOSTNAME"] == "ghcr.io" and
            (.[$p + "_STORM_HOSTNAME"] | test("^r[0-9]*[0-46-9]\\.corp\\.example$")))] | length' "$folder/answers")
    newer=$(jq -s '[.[] | select(.kind == "Status" and .code == 403 and (.message |
        test("for 1 reason:\n- ValueConflict STORM .*r[0-9]*[0-46-9]\\.corp\\.example\" in the policy")))] | length' "$folder/answers")
    refused=$(jq -s '[.[] | select(.kind == "Status" and .code == 403 and
        (.message | contains("BuiltinCollision DOCKER (env)")))] | length' "$folder/answers")
    echo "          $((asked * 2)) calls: $right injected, $newer judged by the next policy already," \
        "$refused refused as they must be"
    check "$1: there were enough of them" [ "$asked" -ge 20 ]
    check '  many were injected' [ "$right" -ge $((asked / 4)) ]
    same '  each answer was by a policy that was valid' "$asked" $((right + newer))
    same '  what takes over a built-in was refused each time' "$asked" "$refused"
    : >"$folder/asked"
}
kib() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/status"; }
threads() { sed -n 's/^Threads:\s*//p' "/proc/$pid/status"; }

# ---- the policy, a thousand times
for ((n = 1; n <= edits; n++)); do
    text='apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nregistries:\n  GHCR:\n    name: GitHub Container Registry\n    hostname: ghcr.io\n'
    if [ $((n % 10)) -eq 5 ]; then
        text+="  STORM:\\n    name: Storm\\n    hostname: r$n.corp.example:5000\\n  DOCKER:\\n    name: Mirror\\n    hostname: mirror.corp.example\\n"
    else # numbers that end in 5 belong to those that are not valid
        text+="  STORM:\\n    name: Storm\\n    hostname: r$n.corp.example\\n"
    fi
    printf '{"data": {"policy.yaml": "%s"}}' "$text" >"$folder/edit.$n"
done
paths=()
for ((n = 1; n <= edits; n++)); do paths+=("/api/v1/namespaces/$hook_namespace/configmaps/nvcf-registry-policy"); done
patches "$folder/edit" "${paths[@]}" >"$folder/edits"
memory=$(kib VmRSS)
before=$(threads)
: >"$folder/asked"
ask_on
began=$(date +%s%3N)
curl -K "$folder/edits" >"$folder/codes" || true
took=$(($(date +%s%3N) - began))
last_in_force() {
    curl -K "$folder/ask" | jq -se --arg n "${registry}_STORM_HOSTNAME" --arg v "r$edits.corp.example" \
        'any(.[]; .kind == "Deployment" and any(.spec.template.spec.containers[0].env[]; .name == $n and .value == $v))'
}
began=$(date +%s%3N)
check 'the last of a thousand edits is in force' wait_for 3 'the last policy' last_in_force
late=$(($(date +%s%3N) - began))
ask_end
same '  all were stored' "$edits" "$(grep -c '^200$' "$folder/codes")"
echo "          $edits edits in $took ms, the last in force $late ms after it, the question itself included"
check '  within a minute' [ "$took" -le 60000 ]
check '  and the last within a second' [ "$late" -le 1000 ]
judged 'asked during the edits'
reloads() { curl -fsS "http://127.0.0.1:$E2E_HOOK_METRICS/metrics" | sed -n "s/^nvcf_registry_webhook_policy_reloads_total{result=\"$1\"} //p"; }
check 'what is not valid was seen and refused' [ "$(reloads failure)" -ge 1 ]
check 'it is ready' hook_ready
same 'no thread more' "$before" "$(sort -u "$folder/threads" | sed 's/^Threads:\s*//' | tail -n 1)"
echo "          memory: $memory KiB before, $(kib VmRSS) KiB after, $(kib VmHWM) KiB at most"
check 'memory is bounded' [ "$(kib VmHWM)" -le $((memory + 16384)) ]
sleep 2
events=$(kubectl -n "$hook_namespace" get events.events.k8s.io -o json |
    jq '[.items[] | select(.regarding.name == "nvcf-registry-policy")] | length')
echo "          $events Events about the policy, of $((edits / 10)) different refusals and $((edits * 9 / 10)) acceptances"
check 'Events are few: fifty, and one for each second' [ "$events" -le $((55 + took / 1000)) ]
check '  but there are some' [ "$events" -ge 2 ]

# ---- ConfigMaps of the target namespace that change all the time
maps=200 changes=3000
big=$(head -c 6000 /dev/zero | tr '\0' x)
for ((n = 1; n <= maps; n++)); do
    name=flood-$n
    [ $((n % 4)) -ne 0 ] || name=flood-$n-nvcf-api-env
    printf '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s", "namespace": "nvcf"}, "data": {"text": "%s"}}\n' "$name" "$big"
done | kubectl create -f - >/dev/null
paths=()
for ((n = 1; n <= changes; n++)); do
    m=$((n % maps + 1))
    name=flood-$m
    [ $((m % 4)) -ne 0 ] || name=flood-$m-nvcf-api-env
    paths+=("/api/v1/namespaces/nvcf/configmaps/$name")
    printf '{"data": {"round": "%d"}}' "$n" >"$folder/change.$n"
done
patches "$folder/change" "${paths[@]}" >"$folder/changes"
memory=$(kib VmRSS)
ask_on
began=$(date +%s%3N)
curl -K "$folder/changes" >"$folder/codes" &
flood=$!
late=()
for ((n = 1; n <= 9; n++)); do
    sleep 0.3
    hash=$(policy_hash)
    text=$(policy_text -- "$ghcr" "STORM=r${n}1.corp.example=Storm" | jq -Rs '{data: {"policy.yaml": .}}')
    start=$(date +%s%3N)
    curl -fsS -o /dev/null -X PATCH -H 'Content-Type: application/merge-patch+json' -d "$text" \
        "$api/api/v1/namespaces/$hook_namespace/configmaps/nvcf-registry-policy"
    wait_for 5 'the new policy' policy_hash_is_not "$hash" || true
    late+=("$(($(date +%s%3N) - start))")
done
during=no
! kill -0 "$flood" 2>/dev/null || during=yes
wait "$flood" || true
took=$(($(date +%s%3N) - began))
ask_end
mapfile -t late < <(printf '%s\n' "${late[@]}" | sort -n)
same 'a flood of changes: all were stored' "$changes" "$(grep -c '^200$' "$folder/codes")"
echo "          $changes changes of $maps ConfigMaps in $took ms; 9 policies meanwhile" \
    "in force after ${late[4]} ms (median), ${late[8]} ms (slowest)"
same '  the policies came while it lasted' yes "$during"
check '  each was in force within a second' [ "${late[8]}" -le 1000 ]
judged 'asked during the flood'
echo "          memory: $memory KiB before, $(kib VmRSS) KiB after, $(kib VmHWM) KiB at most"
check '  memory is bounded' [ "$(kib VmHWM)" -le $((memory + 16384)) ]
same '  no thread more' "$before" "$(threads)"
check '  it is ready' hook_ready
