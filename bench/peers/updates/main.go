// Updates measures what an update of a Deployment takes through a real API server, in
// several namespaces that differ in who is asked on the way.
//
// What: each round replaces the Deployment of every namespace once, one after the other, so
// that all see the same machine. The body never carries the variables to be injected, and a
// label changes each time: whoever mutates has to do it at every update, and no roll-out
// follows. The answer is looked at: the variables are all there, or none is, and the
// generation stays, since the pod template is to come out the same every time.
// How: one connection; the time is from before the request to after the last byte of the
// answer. What the API server and the webhooks compute is read from the kernel's clocks of
// their processes, from one update to the beginning of the next, which comes -pause later.
// Left to others: creating all that (through.sh).
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type object struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Env []struct {
						Name  string `json:"name"`
						Value string `json:"value"`
					} `json:"env"`
				} `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type variant struct {
	name, namespace string
	mutates         bool
	pid             int // of its webhook, or 0
	body            [2]string
	generation      int64

	took, server, webhook []float64 // microseconds
}

type bench struct {
	client    *http.Client
	url, name string
	variables map[string]string
	server    int
	pause     time.Duration
}

// cpu is the CPU time of a process in microseconds: clock_getcpuclockid(3).
func cpu(pid int) float64 {
	var t unix.Timespec
	if pid == 0 || unix.ClockGettime(int32(^pid<<3|2), &t) != nil {
		return 0
	}
	return float64(t.Nano()) / 1000
}

func (b *bench) address(v *variant) string {
	return fmt.Sprintf("%s/apis/apps/v1/namespaces/%s/deployments/%s?fieldManager=bench",
		b.url, v.namespace, b.name)
}

func (b *bench) do(method string, v *variant, body io.Reader) ([]byte, error) {
	request, err := http.NewRequest(method, b.address(v), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", v.name, response.Status, text)
	}
	return text, err
}

// prepare makes the body of the updates from what is stored, less what is injected.
func (b *bench) prepare(v *variant) error {
	text, err := b.do(http.MethodGet, v, nil)
	if err != nil {
		return err
	}
	var o map[string]any
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	metadata := o["metadata"].(map[string]any)
	delete(metadata, "resourceVersion")
	delete(metadata, "managedFields")
	delete(o, "status")
	metadata["labels"].(map[string]any)["bench"] = "@@"
	spec := o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	for _, c := range spec["containers"].([]any) {
		container := c.(map[string]any)
		kept := []any{}
		for _, e := range container["env"].([]any) {
			if _, ours := b.variables[e.(map[string]any)["name"].(string)]; !ours {
				kept = append(kept, e)
			}
		}
		container["env"] = kept
	}
	text, err = json.Marshal(o)
	if err != nil {
		return err
	}
	before, after, found := strings.Cut(string(text), "@@")
	if !found {
		return fmt.Errorf("%s: no label", v.name)
	}
	v.body = [2]string{before, after}
	return nil
}

// check looks whether the stored object is what it should be.
func (b *bench) check(v *variant, text []byte) error {
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	found := 0
	for _, c := range o.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if value, ours := b.variables[e.Name]; ours && value == e.Value {
				found++
			}
		}
	}
	if v.mutates && found != len(b.variables) || !v.mutates && found != 0 {
		return fmt.Errorf("%s: %d of %d variables are there", v.name, found,
			len(b.variables))
	}
	if v.generation == 0 {
		v.generation = o.Metadata.Generation
	}
	if v.generation != o.Metadata.Generation {
		return fmt.Errorf("%s: the pod template changed (generation %d, then %d)", v.name,
			v.generation, o.Metadata.Generation)
	}
	return nil
}

func (b *bench) update(v *variant, round int, keep bool) error {
	body := v.body[0] + "r" + strconv.Itoa(round) + v.body[1]
	server, webhook := cpu(b.server), cpu(v.pid)
	began := time.Now()
	text, err := b.do(http.MethodPut, v, bytes.NewReader([]byte(body)))
	took := time.Since(began)
	if err != nil {
		return err
	}
	time.Sleep(b.pause)
	if keep {
		v.took = append(v.took, float64(took.Nanoseconds())/1000)
		v.server = append(v.server, cpu(b.server)-server)
		v.webhook = append(v.webhook, cpu(v.pid)-webhook)
	}
	return b.check(v, text)
}

func quantile(values []float64, share float64) float64 {
	sorted := append([]float64{}, values...)
	sort.Float64s(sorted)
	return sorted[int(float64(len(sorted)-1)*share)]
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// report writes one row for each variant; differences are taken within a round.
func report(out io.Writer, variants []*variant) {
	base := variants[0]
	for i, v := range variants {
		difference := make([]float64, len(v.took))
		for j := range v.took {
			difference[j] = v.took[j] - base.took[j]
		}
		added := "– | –"
		if i > 0 {
			added = fmt.Sprintf("%.2f | %.2f", quantile(difference, 0.5)/1000,
				quantile(difference, 0.99)/1000)
		}
		hook := "–"
		if v.pid != 0 {
			hook = fmt.Sprintf("%.2f", mean(v.webhook)/1000)
		}
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %s | %.2f | %s |\n", v.name,
			quantile(v.took, 0.5)/1000, quantile(v.took, 0.99)/1000, added,
			mean(v.server)/1000, hook)
	}
}

func client(ca, cert, key string) *http.Client {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}},
	}}
}

// parse reads NAME=NAMESPACE[,mutates][,pid=N].
func parse(text string) *variant {
	name, rest, _ := strings.Cut(text, "=")
	v := &variant{name: name}
	for i, part := range strings.Split(rest, ",") {
		switch {
		case i == 0:
			v.namespace = part
		case part == "mutates":
			v.mutates = true
		case strings.HasPrefix(part, "pid="):
			v.pid, _ = strconv.Atoi(part[len("pid="):])
		default:
			log.Fatalf("%s: what is %s?", text, part)
		}
	}
	return v
}

func main() {
	b := &bench{variables: map[string]string{}}
	flag.StringVar(&b.url, "server", "", "the API server")
	flag.StringVar(&b.name, "deployment", "api-helm-nvcf-api", "what is updated")
	flag.IntVar(&b.server, "server-pid", 0, "the API server's process")
	flag.DurationVar(&b.pause, "pause", 3*time.Millisecond, "between two updates")
	ca := flag.String("ca", "", "the API server's CA")
	cert := flag.String("cert", "", "client certificate")
	key := flag.String("key", "", "its key")
	file := flag.String("registries", "", "JSON object of the variables to be injected")
	rounds := flag.Int("rounds", 1000, "updates of each namespace")
	warm := flag.Int("warm", 50, "rounds before that do not count")
	raw := flag.String("raw", "/dev/null", "where the raw figures go")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "updates [flags] NAME=NAMESPACE[,mutates][,pid=N]…")
		flag.PrintDefaults()
	}
	flag.Parse()
	log.SetFlags(0)

	text, err := os.ReadFile(*file)
	if err == nil {
		err = json.Unmarshal(text, &b.variables)
	}
	if err != nil || flag.NArg() == 0 {
		log.Fatalf("updates: %v", err)
	}
	b.client = client(*ca, *cert, *key)
	variants := []*variant{}
	for _, text := range flag.Args() {
		v := parse(text)
		if err := b.prepare(v); err != nil {
			log.Fatal(err)
		}
		variants = append(variants, v)
	}
	out, err := os.Create(*raw)
	if err != nil {
		log.Fatal(err)
	}
	for round := -*warm; round < *rounds; round++ {
		for i := range variants {
			v := variants[(i+round+*warm)%len(variants)]
			if err := b.update(v, round, round >= 0); err != nil {
				log.Fatal(err)
			}
		}
		for _, v := range variants {
			if round >= 0 {
				fmt.Fprintf(out, "update\t%s\ttime\tus\t%d\t%.0f\n", v.name, round,
					v.took[round])
			}
		}
	}
	for _, v := range variants {
		fmt.Fprintf(out, "update\t%s\tcpu_apiserver\tus\tmean\t%.0f\n", v.name, mean(v.server))
		fmt.Fprintf(out, "update\t%s\tcpu_webhook\tus\tmean\t%.0f\n", v.name, mean(v.webhook))
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
	report(os.Stdout, variants)
}
