# shellcheck shell=bash
# helms: 4
# What users see (Events), and --reconcile: an edited policy reaches the Deployments without
# Helm, once, and does not fight anybody.
# shellcheck source=../lib/scenario.sh
. "$E2E_LIB/scenario.sh"

policy_gone
for namespace in nvcf "$hook_namespace"; do # all at once; one by one takes minutes
    kubectl delete --raw "/api/v1/namespaces/$namespace/events" >/dev/null
done
ghcr='GHCR=ghcr.io=GitHub Container Registry'
policy_text -- "$ghcr" | policy_configmap >/dev/null
if ! hook_start_live; then
    skip 'Events' "$(tail -n 1 "$E2E_TMP/log/webhook.log" | cut -c1-160)"
    exit 0
fi
wait_for 10 'readiness' hook_ready
hook_config Fail
wait_for 10 'the API server to call the webhook' hook_called

event() { # NAMESPACE KIND NAME REASON
    kubectl -n "$1" get events.events.k8s.io -o json | jq -e --arg k "$2" --arg n "$3" --arg r "$4" \
        '.items[] | select(.regarding.kind == $k and .regarding.name == $n and .reason == $r)'
}
check 'an Event says that the policy was accepted' wait_for 5 'the Event' \
    event "$hook_namespace" ConfigMap nvcf-registry-policy Accepted
check 'the API is there' api_install
check 'an Event on the Deployment: Injected' wait_for 5 'the Event' event nvcf Deployment "$deployment" Injected
run kubectl -n nvcf set env "deployment/$deployment" -c helm-nvcf-api "${registry}_DOCKER_HOSTNAME=x.example"
check 'an Event on the Deployment: Denied' wait_for 5 'the Event' event nvcf Deployment "$deployment" Denied
check '  as kubectl describe shows it' bash -c "kubectl -n nvcf describe deployment $deployment | grep -q Denied"
check 'Events are few' [ "$(kubectl -n nvcf get events.events.k8s.io -o json |
    jq '[.items[] | select(.reason == "Injected" or .reason == "Denied")] | length')" -le 3 ]
kubectl delete --raw /api/v1/namespaces/nvcf/events >/dev/null
run kubectl -n nvcf set env "deployment/$deployment" -c helm-nvcf-api "${registry}_DOCKER_HOSTNAME=x.example" --dry-run=server
sleep 1
no_event() { ! event nvcf Deployment "$deployment" Denied; }
check 'a dry run leaves none' no_event

# ---- without --reconcile the next update brings it, with it the policy alone does
policy_in_force < <(policy_text -- "$ghcr" 'INTERNAL=registry.corp.example=Corporate')
sleep 1
check 'without --reconcile a new policy waits for the next update' env_absent "${registry}_INTERNAL_HOSTNAME"
hook_stop
check 'with --reconcile' hook_start_live --reconcile
wait_for 10 'readiness' hook_ready
came() { env_is "${registry}_INTERNAL_HOSTNAME" registry.corp.example; }
check '  what the policy lists comes' wait_for 30 'the registry' came
check '  runs' rolled_out
policy_in_force < <(policy_text -- "$ghcr")
went() { env_absent "${registry}_INTERNAL_HOSTNAME"; }
check '  what it lists no more goes' wait_for 20 'the registry to go' went
check '  runs' rolled_out
check '  an Event on the Deployment: Removed' wait_for 5 'the Event' event nvcf Deployment "$deployment" Removed
before=$(generation)
sleep 4
same '  and then there is peace' "$before" "$(generation)"

# ---- a second replica: one of the two does it, and many edits in a row are one change
metrics=$(free_port)
hook_start_cluster webhook-2 "127.0.0.1:$(free_port)" "$metrics" --tls-cert "$E2E_TMP/pki/hook.crt" \
    --tls-key "$E2E_TMP/pki/hook.key" --reconcile
check 'a second replica' wait_for 10 'readiness' curl -fsS "http://127.0.0.1:$metrics/readyz"
before=$(generation)
submitted() { cat "$E2E_TMP/log/webhook.log" "$E2E_TMP/log/webhook-2.log" | grep -c 'Deployment submitted' || true; }
times=$(submitted)
for i in {1..8}; do
    policy_text -- "$ghcr" "INTERNAL=registry$i.corp.example=Corporate" | policy_configmap >/dev/null
done
last_came() { env_is "${registry}_INTERNAL_HOSTNAME" registry8.corp.example; }
check '  the last of eight edits comes' wait_for 30 'the registry' last_came
sleep 3
changed=$(($(generation) - before))
echo "          eight edits in a row: submitted $(($(submitted) - times)) times, $changed changes of the Deployment"
check '  without as many roll-outs' [ "$changed" -le 4 ]
same '  and by one of the two alone' "$changed" $(($(submitted) - times))
end_pid "$(cat "$E2E_TMP/webhook-2.pid")"
policy_in_force < <(policy_text -- "$ghcr")
check '  and goes again' wait_for 20 'the registry to go' went

# ---- somebody refuses what it submits: it asks again after 2, 4, 8 … seconds, and then it comes
kubectl apply -f - >/dev/null <<'END'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-reconciling}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}]
  validations:
  - expression: '!("nvcf-registry-webhook/reconciled" in object.metadata.?annotations.orValue({})) || object.metadata.annotations["nvcf-registry-webhook/reconciled"] == oldObject.metadata.?annotations["nvcf-registry-webhook/reconciled"].orValue("")'
    message: not now
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-reconciling}
spec: {policyName: no-reconciling, validationActions: [Deny]}
END
refused_already() {
    local said
    said=$(kubectl -n nvcf annotate deployment "$deployment" --overwrite --dry-run=server \
        "nvcf-registry-webhook/reconciled=$RANDOM" 2>&1) || true
    [[ $said == *'not now'* ]]
}
check 'somebody refuses what it submits' wait_for 10 'the policy of the cluster' refused_already
attempts() { grep -c 'Deployment could not be submitted' "$E2E_TMP/log/webhook.log" || true; }
before=$(attempts)
policy_in_force < <(policy_text -- "$ghcr" 'INTERNAL=registry.corp.example=Corporate')
sleep 9
tries=$(($(attempts) - before))
echo "          refused for nine seconds: tried $tries times"
check '  it tries again' [ "$tries" -ge 2 ]
check '  and not without a pause' [ "$tries" -le 4 ]
kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy no-reconciling >/dev/null
check '  and gets through when it may' wait_for 30 'the registry' came
policy_in_force < <(policy_text -- "$ghcr")
check '  both ways' wait_for 20 'the registry to go' went
check '  runs' rolled_out
# Argo CD with ServerSideDiff=true,IncludeMutationWebhook=true asks for just this.
drift() { helm get manifest api -n nvcf | kubectl diff --server-side --force-conflicts --field-manager=argocd-controller -n nvcf -f -; }
check 'who compares as Argo CD does sees no drift' undisturbed drift
check 'helm upgrades on, without a conflict' api_upgrade --set-string api.awsRegion=eu-west-1
check '  with the registry' env_is "${registry}_GHCR_HOSTNAME" ghcr.io
check 'no variable twice' no_duplicate_env
