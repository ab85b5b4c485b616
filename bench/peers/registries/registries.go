// Package registries is the job that both peers do: put the listed variables into one
// container, and see whether they are there.
//
// The file says it as the ConfigMap of a MutatingAdmissionPolicy would: a JSON object of
// variable and value. Names are compared as text, nothing else is looked at.
package registries

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	corev1 "k8s.io/api/core/v1"
)

// Policy says what goes into which container, in the order of the names.
type Policy struct {
	Container string
	Variables []corev1.EnvVar
}

// Load reads a JSON object of variable and value.
func Load(file, container string) (*Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	p := &Policy{Container: container}
	for name, value := range values {
		p.Variables = append(p.Variables, corev1.EnvVar{Name: name, Value: value})
	}
	sort.Slice(p.Variables, func(a, b int) bool {
		return p.Variables[a].Name < p.Variables[b].Name
	})
	return p, nil
}

// Find gives the index of the container, or -1.
func (p *Policy) Find(containers []corev1.Container) int {
	for i := range containers {
		if containers[i].Name == p.Container {
			return i
		}
	}
	return -1
}

// Index gives the place of a variable, or -1.
func Index(env []corev1.EnvVar, name string) int {
	for i := range env {
		if env[i].Name == name {
			return i
		}
	}
	return -1
}

// Inject sets the variables in the container.
func (p *Policy) Inject(c *corev1.Container) {
	for _, v := range p.Variables {
		if i := Index(c.Env, v.Name); i >= 0 {
			c.Env[i] = v
		} else {
			c.Env = append(c.Env, v)
		}
	}
}

// Missing gives the first variable that is not as listed, or "".
func (p *Policy) Missing(c *corev1.Container) string {
	for _, v := range p.Variables {
		if i := Index(c.Env, v.Name); i < 0 || c.Env[i] != v {
			return v.Name
		}
	}
	return ""
}
