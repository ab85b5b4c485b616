# shellcheck shell=bash
# The control plane itself, before anything is said about the webhook: the charts install,
# roll-outs finish, and a webhook that nobody answers for behaves as Kubernetes says. What
# fails here is the suite's fault.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

check 'the server says its version' bash -c \
    'kubectl version -o json | jq -e ".serverVersion.gitVersion | startswith(\"v1.\")"'
# shellcheck disable=SC2016 # for the inner shell
check "helm is Helm $E2E_HELM" bash -c 'helm version --template "{{.Version}}" | grep -q "^v$E2E_HELM\."'

check 'the functions API installs' api_install
check 'its roll-out finishes' rolled_out
check 'the tasks API installs' tasks_install
check 'its roll-out finishes too' kubectl -n nvcf rollout status deployment/tasks-helm-nvcf-nvct-api --timeout=60s

run api_upgrade --set-string "api.env.${registry}_GHCR_NAME=GitHub" \
    --set-string "api.env.${registry}_GHCR_HOSTNAME=ghcr.io"
same 'the guide works without us' 0 "$RC"
check 'and rolls out' rolled_out
same 'as one new pod template' 2 "$(replica_sets)"
check 'the value is in the ConfigMap' bash -c \
    "kubectl -n nvcf get configmap $deployment-env -o json | jq -e '.data.${registry}_GHCR_HOSTNAME == \"ghcr.io\"'"
check 'and not in env' env_absent "${registry}_GHCR_HOSTNAME"

# Nobody listens on the Service's address yet.
hook_config Fail
dead() { ! hook_canary >/dev/null; }
check 'a dead webhook with Fail is taken up' wait_for 10 'a refusal' dead
run kubectl -n nvcf annotate deployment "$deployment" note=1 --overwrite
same 'and refuses a change of the Deployment' 1 "$RC"
expect_text 'saying which webhook' 'failed calling webhook' nvcf-registry-webhook
run api_upgrade --set replicaCount=1
same 'and refuses helm upgrade' 1 "$RC"
check 'but not scaling' kubectl -n nvcf scale "deployment/$deployment" --replicas=3
# Back to what the chart says: Helm 4 owns the number and would call another one a conflict.
check 'nor scaling back' kubectl -n nvcf scale "deployment/$deployment" --replicas=2
check 'nor another ConfigMap' kubectl -n nvcf create configmap other --from-literal=a=b
check 'nor a Deployment that is not a target' kubectl -n nvcf create deployment other --image=stand-in.invalid/x

hook_config Ignore
check 'with Ignore it lets through' wait_for 10 'an answer' hook_canary
check 'also helm upgrade' api_upgrade --set api.awsRegion=eu-west-1
