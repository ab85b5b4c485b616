# shellcheck shell=bash
# Scenario 6: managedFields and conflicts. What a webhook sets has no owner; nobody may ever
# get a conflict, a variable twice or another order because of it.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'INTERNAL=registry.corp.example=Corporate Registry' 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
check 'the API is there' api_install
check 'and runs' rolled_out
wanted='["POD_IP","AWS_REGION","SPRING_PROFILES_ACTIVE","REMOTE_CONFIG_ENABLED","REMOTE_CONFIG_NAME"'
for key in GHCR INTERNAL; do
    wanted+=",\"${registry}_${key}_NAME\",\"${registry}_${key}_HOSTNAME\""
done
wanted+=']'
same 'appended, sorted by key, NAME before HOSTNAME' "$wanted" "$(env_names)"

owners() { # NAME: the managers that own this variable of the container
    kubectl -n nvcf get deployment "$deployment" -o json --show-managed-fields |
        jq -r --arg n "k:{\"name\":\"$1\"}" '[.metadata.managedFields[] |
            select([.. | objects | has($n)] | any) | .manager] | join(",")'
}
same 'nobody owns what was injected' '' "$(owners "${registry}_GHCR_NAME")"
same 'Helm owns what is its own' helm "$(owners AWS_REGION)"

before=$(generation)
for i in {1..5}; do
    run api_upgrade
    [ "$RC" -eq 0 ] || break
done
same '5 upgrades without a change pass' 0 "$RC"
same 'same generation' "$before" "$(generation)"
same 'same order' "$wanted" "$(env_names)"

bad=0
for i in {1..20}; do
    run api_upgrade --set-string "api.awsRegion=region-$i"
    [ "$RC" -eq 0 ] && [ "$(env_names)" = "$wanted" ] && no_duplicate_env || bad=$((bad + 1))
done
same '20 upgrades with a change keep the order, no variable twice' 0 "$bad"
same 'each is one change' $((before + 20)) "$(generation)"

# ---- a second manager
second() {
    kubectl apply --server-side --field-manager second "$@" -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $deployment, namespace: nvcf}
spec:
  template:
    spec:
      containers:
      - name: helm-nvcf-api
        env:
        - {name: SECOND, value: "1"}
        - {name: ${registry}_GHCR_HOSTNAME, value: $host}
END
}
host=ghcr.io
check 'a second manager adds a variable and claims an injected one' second
check '  which stays as it is' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check '  and is not doubled' no_duplicate_env
check 'helm upgrades on' api_upgrade --set-string api.awsRegion=us-east-1
check "  the second manager's variable stays" env_is SECOND 1
host=mirror.example
check 'the second manager wants another value' second --force-conflicts
expect_text '  and is told' 'Warning:' GHCR
check "  the policy's value holds" env_is "${registry}_GHCR_HOSTNAME" ghcr.io
before=$(generation)
check '  again' second --force-conflicts
same '  which changes nothing' "$before" "$(generation)"
check '  and is not doubled' no_duplicate_env

# ---- Helm takes the injected variable over, and gets rid of conflicts
if [ "$E2E_HELM" = 4 ]; then
    check 'helm upgrade --force-conflicts' api_upgrade --force-conflicts \
        --set-string api.awsRegion=us-east-2
    check 'helm upgrade --server-side=false' api_upgrade --server-side=false \
        --set-string api.awsRegion=us-east-3
    check 'and back to server side' api_upgrade --server-side=true --force-conflicts \
        --set-string api.awsRegion=us-east-4
else
    check 'helm upgrade --force (a full replace)' api_upgrade --force \
        --set-string api.awsRegion=us-east-2
fi
check 'the registries are there' env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example
check 'no variable twice' no_duplicate_env
check 'runs' rolled_out
