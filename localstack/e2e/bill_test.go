package main

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"publisher/internal/console"
	"publisher/internal/cost"
	"publisher/internal/testserver"
)

// TestBill counts what a publish asks of AWS, of one new target by publisher
// and a function that starts cold: what docs/deploy-aws.md says.
func TestBill(t *testing.T) {
	d := deploy(t)
	shell, err := console.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shell.Env = append(append(shell.Env, d.cloud.env()...), "PUBLISHER_TRUST_DIR="+filepath.Join(shell.Dir, "owner"))
	s := &story{ctx: t.Context(), cloud: d.cloud, proof: &proof{out: io.Discard}, shell: shell, name: "example.com/counted"}
	if err := errors.Join(s.begin(), s.stage("first.txt", "first\n"), shell.Publisher("publish", s.name), s.stage("second.txt", "second\n")); err != nil {
		t.Fatal(err)
	}
	d.functions.running[d.cloud.publishing()].Recycle()
	d.proxy.Break(func(*http.Request, int) testserver.Fault { return testserver.None })
	if err := shell.Publisher("publish", s.name); err != nil {
		t.Fatal(err)
	}
	got, log := bill(t, d.cloud, d.proxy.Requests())
	if got != cost.Publish {
		t.Errorf("a publish took %+v, the page says %+v:\n%s", got, cost.Publish, strings.Join(log, "\n"))
	}
}

// bill sorts requests as AWS does. Log is those that cost something.
func bill(t *testing.T, c *cloud, requests []*http.Request) (sum cost.Requests, log []string) {
	t.Helper()
	for _, r := range requests {
		_, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		bucket := strings.HasPrefix(r.URL.Path, "/"+c.public) || strings.HasPrefix(r.URL.Path, "/"+c.inbox)
		switch {
		case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "TrentService."):
			sum.KMS++
		case !bucket || r.Method == http.MethodDelete:
			continue
		case r.Method == http.MethodPut || object == "" && r.Method == http.MethodGet:
			sum.Writes++
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			sum.Reads++
		default:
			t.Errorf("%s %s: what does that cost?", r.Method, r.URL)
		}
		if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/"+c.inbox) && strings.HasSuffix(r.URL.Path, ".json") {
			sum.Events++
		}
		log = append(log, r.Method+" "+r.URL.Path+r.Header.Get("X-Amz-Target"))
	}
	return sum, log
}
