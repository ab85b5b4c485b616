// Recorder is a webhook that writes down what a real API server sends.
//
// What: every AdmissionReview that arrives at /mutate or /validate is saved, byte for byte,
// as DIR/<label>.<count>-<endpoint>-<OPERATION>-<Kind>.json, and beside it, as .http, the
// request line and the headers. The label is the content of the file DIR/label, so that a
// script can say what it is about to do.
// How: without -upstream it answers "allowed" itself; with it the request goes on to a real
// webhook, whose answer is passed back and saved as .answer.json.
// Left to others: certificates (files), and ending it (SIGTERM).
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

const maxBody = 16 << 20

type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    struct {
		UID       string `json:"uid"`
		Operation string `json:"operation"`
		Kind      struct {
			Kind string `json:"kind"`
		} `json:"kind"`
	} `json:"request"`
}

type recorder struct {
	dir      string
	upstream string
	client   *http.Client

	mu    sync.Mutex
	label string
	count int
}

// base gives the path, less its ending, of the next record.
func (r *recorder) base(endpoint string, rv *review) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	label := "unnamed"
	if text, err := os.ReadFile(filepath.Join(r.dir, "label")); err == nil {
		if s := strings.TrimSpace(string(text)); s != "" {
			label = s
		}
	}
	if label != r.label {
		r.label, r.count = label, 0
	}
	r.count++
	return filepath.Join(r.dir, fmt.Sprintf("%s.%02d-%s-%s-%s",
		label, r.count, endpoint, rv.Request.Operation, rv.Request.Kind.Kind))
}

func headerText(req *http.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", req.Method, req.URL.RequestURI(), req.Proto,
		req.Host)
	names := make([]string, 0, len(req.Header))
	for name := range req.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range req.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if req.TLS != nil {
		fmt.Fprintf(&b, "# %s, server name %q, protocol %q\n", tls.VersionName(req.TLS.Version),
			req.TLS.ServerName, req.TLS.NegotiatedProtocol)
	}
	return b.Bytes()
}

func (r *recorder) answer(req *http.Request, rv *review, body []byte) (int, []byte, error) {
	if r.upstream == "" {
		text, err := json.Marshal(map[string]any{
			"apiVersion": rv.APIVersion,
			"kind":       rv.Kind,
			"response":   map[string]any{"uid": rv.Request.UID, "allowed": true},
		})
		return http.StatusOK, text, err
	}
	res, err := r.client.Post(r.upstream+req.URL.RequestURI(), req.Header.Get("Content-Type"),
		bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, text, err
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	endpoint := strings.Trim(req.URL.Path, "/")
	if req.Method != http.MethodPost || (endpoint != "mutate" && endpoint != "validate") {
		http.NotFound(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var rv review
	if err := json.Unmarshal(body, &rv); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	base := r.base(endpoint, &rv)
	code, text, err := r.answer(req, &rv, body)
	if err == nil {
		err = os.WriteFile(base+".json", body, 0o644)
	}
	if err == nil {
		err = os.WriteFile(base+".http", headerText(req), 0o644)
	}
	if err == nil && r.upstream != "" {
		err = os.WriteFile(base+".answer.json", text, 0o644)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(text); err != nil {
		log.Print(err)
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	cert := flag.String("tls-cert", "", "PEM file")
	key := flag.String("tls-key", "", "PEM file")
	dir := flag.String("dir", ".", "folder for the records")
	upstream := flag.String("upstream", "", "https://HOST:PORT of a real webhook")
	flag.Parse()

	r := &recorder{dir: *dir, upstream: strings.TrimSuffix(*upstream, "/"),
		client: &http.Client{
			Timeout: 10 * time.Second,
			// The upstream is a process of the same test on the loopback.
			Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
			},
		}}
	server := &http.Server{Addr: *listen, Handler: r, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}
