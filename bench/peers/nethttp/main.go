// A webhook with nothing but the standard library and the API's types: net/http,
// encoding/json, and a patch written by hand.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nvcf-registry-webhook/bench/peers/registries"
)

const maxBody = 8 << 20

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch is what Inject would do, as JSON Patch.
func patch(p *registries.Policy, index int, c *corev1.Container) []operation {
	ops := []operation{}
	base := fmt.Sprintf("/spec/template/spec/containers/%d/env", index)
	if c.Env == nil {
		ops = append(ops, operation{"add", base, []corev1.EnvVar{}})
	}
	for _, v := range p.Variables {
		i := registries.Index(c.Env, v.Name)
		if i < 0 {
			ops = append(ops, operation{"add", base + "/-", v})
		} else if c.Env[i] != v {
			ops = append(ops, operation{"replace", fmt.Sprintf("%s/%d", base, i), v})
		}
	}
	return ops
}

type handler func(*registries.Policy, int, *corev1.Container, *admissionv1.AdmissionResponse) error

func mutate(p *registries.Policy, index int, c *corev1.Container,
	response *admissionv1.AdmissionResponse) error {
	ops := patch(p, index, c)
	if len(ops) == 0 {
		return nil
	}
	text, err := json.Marshal(ops)
	kind := admissionv1.PatchTypeJSONPatch
	response.Patch, response.PatchType = text, &kind
	return err
}

func validate(p *registries.Policy, _ int, c *corev1.Container,
	response *admissionv1.AdmissionResponse) error {
	if name := p.Missing(c); name != "" {
		response.Allowed = false
		response.Result = &metav1.Status{Code: 403, Message: name + " is not as listed"}
	}
	return nil
}

func serve(p *registries.Policy, decide handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		review := admissionv1.AdmissionReview{}
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
			return
		}
		deployment := appsv1.Deployment{}
		if err := json.Unmarshal(review.Request.Object.Raw, &deployment); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		containers := deployment.Spec.Template.Spec.Containers
		if i := p.Find(containers); i >= 0 {
			if err := decide(p, i, &containers[i], response); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		answer := admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.Print(err)
		}
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "address to listen on")
	cert := flag.String("cert", "tls.crt", "certificate")
	key := flag.String("key", "tls.key", "its key")
	file := flag.String("registries", "registries.json", "variables to inject")
	container := flag.String("container", "helm-nvcf-api", "container to inject them into")
	flag.Parse()

	policy, err := registries.Load(*file, *container)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mutate", serve(policy, mutate))
	mux.HandleFunc("POST /validate", serve(policy, validate))
	server := &http.Server{
		Addr:      *listen,
		Handler:   mux,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}
