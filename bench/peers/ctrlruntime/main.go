// A webhook as controller-runtime's documentation teaches it: its webhook.Server, its
// decoder into the typed object, PatchResponseFromRaw. No manager, no cache, no logger:
// what an operator would have besides is left out, in the peer's favour.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"nvcf-registry-webhook/bench/peers/registries"
)

type injector struct {
	decoder admission.Decoder
	policy  *registries.Policy
}

func (h *injector) Handle(_ context.Context, req admission.Request) admission.Response {
	deployment := &appsv1.Deployment{}
	if err := h.decoder.Decode(req, deployment); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	containers := deployment.Spec.Template.Spec.Containers
	i := h.policy.Find(containers)
	if i < 0 {
		return admission.Allowed("")
	}
	h.policy.Inject(&containers[i])
	current, err := json.Marshal(deployment)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, current)
}

type checker struct {
	decoder admission.Decoder
	policy  *registries.Policy
}

func (h *checker) Handle(_ context.Context, req admission.Request) admission.Response {
	deployment := &appsv1.Deployment{}
	if err := h.decoder.Decode(req, deployment); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	containers := deployment.Spec.Template.Spec.Containers
	i := h.policy.Find(containers)
	if i < 0 {
		return admission.Allowed("")
	}
	if name := h.policy.Missing(&containers[i]); name != "" {
		return admission.Denied(fmt.Sprintf("%s is not as listed", name))
	}
	return admission.Allowed("")
}

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 8443, "port to listen on")
	certs := flag.String("certs", ".", "folder of tls.crt and tls.key")
	file := flag.String("registries", "registries.json", "variables to inject")
	container := flag.String("container", "helm-nvcf-api", "container to inject them into")
	flag.Parse()

	ctrl.SetLogger(logr.Discard())
	policy, err := registries.Load(*file, *container)
	if err != nil {
		log.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		log.Fatal(err)
	}
	decoder := admission.NewDecoder(scheme)
	server := webhook.NewServer(webhook.Options{Host: *host, Port: *port, CertDir: *certs})
	server.Register("/mutate", &webhook.Admission{Handler: &injector{decoder, policy}})
	server.Register("/validate", &webhook.Admission{Handler: &checker{decoder, policy}})
	if err := server.Start(ctrl.SetupSignalHandler()); err != nil {
		log.Fatal(err)
	}
}
