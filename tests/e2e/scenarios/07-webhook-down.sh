# shellcheck shell=bash
# Scenario 7: the webhook is dead. `Fail` refuses changes of the targets and nothing else,
# our own Deployment included; `Ignore` lets through, and `review` shows the drift.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy -- 'GHCR=ghcr.io=GitHub Container Registry'
hook_up
check 'the API is there' api_install
check 'and runs' rolled_out
hook_kill

# ---- Fail
run api_upgrade --set-string api.awsRegion=eu-west-1
same 'Fail: helm upgrade is refused' 1 "$RC"
expect_text '  because the webhook was not reached' 'failed calling webhook'
run kubectl -n nvcf patch configmap "$deployment-remote-config" --type merge -p '{"data":{"a":"b"}}'
same 'Fail: the remote configuration cannot be changed' 1 "$RC"
ours() {
    kubectl apply -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $hook_name, namespace: $hook_namespace, labels: {app.kubernetes.io/name: $hook_name}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: $hook_name}}
  template:
    metadata: {labels: {app.kubernetes.io/name: $hook_name}, annotations: {round: "$1"}}
    spec: {containers: [{name: webhook, image: stand-in.invalid/webhook}]}
END
}
check 'Fail: our own Deployment can be created' ours 1
check '  and its pods start' kubectl -n "$hook_namespace" rollout status "deployment/$hook_name" --timeout=60s
check '  and it can be changed' ours 2
check '  and rolls out' kubectl -n "$hook_namespace" rollout status "deployment/$hook_name" --timeout=60s
check "Fail: the API's pods can be replaced" kubectl -n nvcf delete pod --all --wait=false
check '  and come back' rolled_out
check 'Fail: scaling works' kubectl -n nvcf scale "deployment/$deployment" --replicas=3
check '  and back' kubectl -n nvcf scale "deployment/$deployment" --replicas=2
check 'Fail: another Deployment in the namespace' kubectl -n nvcf create deployment other --image=stand-in.invalid/x
check 'Fail: a ConfigMap in the namespace' kubectl -n nvcf create configmap other --from-literal=a=b
check "  of another program's, whatever its name ends with" kubectl -n nvcf create configmap other-env --from-literal=a=b
check '  and again' kubectl -n nvcf patch configmap other-env --type merge -p '{"data":{"a":"c"}}'
check 'Fail: a Secret' kubectl -n nvcf create secret generic other --from-literal=a=b
check 'Fail: a namespace, and a Deployment there' bash -c "kubectl create namespace elsewhere-$E2E_HELM &&
    kubectl -n elsewhere-$E2E_HELM create deployment helm-nvcf-api --image=stand-in.invalid/x"
kubectl delete namespace "elsewhere-$E2E_HELM" --wait=false >/dev/null
kubectl -n "$hook_namespace" delete deployment "$hook_name" >/dev/null

# ---- Ignore
hook_config Ignore
check 'Ignore is taken up' wait_for 10 'an answer' hook_canary
check 'Ignore: a takeover of Docker Hub gets through' api_upgrade \
    --set-string "api.env.${registry}_DOCKER_NAME=Mirror" \
    --set-string "api.env.${registry}_DOCKER_HOSTNAME=mirror.corp.example"
live() {
    kubectl -n nvcf get deployment,configmap -l app.kubernetes.io/name=helm-nvcf-api -o yaml
}
live >"$E2E_TMP/live.yaml"
run "$E2E_WEBHOOK_BIN" review --policy "$E2E_TMP/policy.yaml" "$E2E_TMP/live.yaml"
same 'review of the live objects says: not good' 1 "$RC"
expect_text '  and what' BuiltinCollision DOCKER

# ---- and away, with nobody answering
hook_config Fail
dead() { ! hook_canary >/dev/null; }
wait_for 10 'a refusal' dead
check 'helm uninstall with the server dead' helm -n nvcf uninstall api
check 'leaves nothing' wait_for 20 'an empty namespace' bash -c '! kubectl -n nvcf get deployment,pod,replicaset -l app.kubernetes.io/name=helm-nvcf-api -o name | grep .'
check 'the emergency command' kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration "$hook_name"
check 'and everything can be written again' wait_for 10 'an answer' hook_canary
