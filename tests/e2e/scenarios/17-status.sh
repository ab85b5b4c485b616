# shellcheck shell=bash
# helms: 4
# `status` as a user types it, with Helm, roll-outs and certificates of the webhook's own:
# before, during and after the guide's step, and when somebody went around the webhook.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

export E2E_NO_BUNDLE=1
status() { "$E2E_WEBHOOK_BIN" status "$@"; }
# rows: KEY source deployment pods, one line
rows() {
    status -o json | jq -r '[.targets[] | select(.target == "NVCF") | . as $d | .registries[] |
        "\(.key) \(.source) \(.deployment) \(.pods)/\($d.pods)"] | join(", ")'
}
rows_are() { [ "$(rows)" = "$1" ]; }
mapfile -t flags < <(key_flags QUAY quay.io 'Quay')

check 'the API is there, through Helm values alone' api_install "${flags[@]}"
check '  and rolls out' rolled_out
run status
same 'without policy and webhook it is not good' 1 "$RC"
expect_text '  and says what is missing' 'there is no ConfigMap nvcf-registry-webhook/nvcf-registry-policy' \
    'there is no configuration nvcf-registry-webhook'
same '  but sees what Helm has set' "QUAY configmap/$deployment-env yes 2/2" "$(rows)"

policy_text -- 'GHCR=ghcr.io=GitHub Container Registry' | policy_configmap >/dev/null
kubectl -n "$hook_namespace" delete secret "$hook_name-tls" --ignore-not-found >/dev/null
hook_config Fail
if ! hook_start_self; then
    skip 'with the webhook' "$(tail -n 1 "$E2E_TMP/log/webhook.log" | cut -c1-160)"
    exit 0
fi
check 'the webhook is ready' wait_for 15 'readiness' hook_ready
check '  and called' wait_for 10 'the API server to call the webhook' hook_called
run status
same 'the API does not know the policy yet: drift' 1 "$RC"
expect_text '  the next update is announced' "+ ${registry}_GHCR_HOSTNAME=ghcr.io"
check 'an upgrade' api_upgrade "${flags[@]}" --set api.awsRegion=eu-west-1
check '  rolls out' rolled_out
check 'and pods run with it' wait_for 20 'the old pods to go' \
    rows_are "GHCR policy yes 2/2, QUAY configmap/$deployment-env yes 2/2"
check 'all is good' status
run status
expect_text '  the certificate verifies against what is published' \
    'an API server accepts it as nvcf-registry-webhook.nvcf-registry-webhook.svc' 'caBundle'
printf '          %s\n' "${OUT//$'\n'/$'\n'          }"
# The README shows this table; only times and hashes may differ.
table() { sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z/TIME/; s/\([0-9]+ days\)/(DAYS)/; s/hash [0-9a-f]+/hash HASH/'; }
shown=$(sed -n '/^Webhook$/,/^```$/p' "$E2E_REPO/README.md" | grep -v '^```$')
check 'the table in the README is what is printed' diff <(table <<<"$shown") <(table <<<"$OUT")

# somebody goes around the webhook, and the API would crash at its next start
hook_unconfig
check 'without the webhook, built-in taken over' kubectl -n nvcf set env "deployment/$deployment" \
    -c helm-nvcf-api "${registry}_DOCKER_HOSTNAME=mirror.corp.example" "${registry}_DOCKER_NAME=Mirror"
run status
same 'is not good' 1 "$RC"
expect_text '  and says why' 'BuiltinCollision' 'is denied as it stands' \
    'there is no configuration nvcf-registry-webhook'
