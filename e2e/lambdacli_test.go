package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"publisher/internal/interop"
	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/repo/tuf"
)

// TestLambdaCommandLine is an owner with publisher alone, who holds no snapshot
// or timestamp key and invokes the function through the AWS SDK.
func TestLambdaCommandLine(t *testing.T) {
	server, proxy := testserver.VersityGW(t).Through(t)
	d := deploy(t, server, sealedKeys)
	o := newOwner(t, d.served)
	signer := "lambda:signer?" + url.Values{"region": {server.Region}, "endpoint": {d.fn.Endpoint}}.Encode()
	root := o.init(t, scripts, "--online", signer, "--inbox", d.url)
	there, state := files{}, t.TempDir()
	pullAll := func() {
		t.Helper()
		job := pull(t, d.served, scripts, root, there.sums())
		job.Dir = state
		for _, c := range interop.Clients(t) {
			if err := c.Pull(t.Context(), job); err != nil {
				t.Error(err)
			}
		}
	}
	stage := func(name, content string, more ...string) {
		t.Helper()
		tree := t.TempDir()
		files{name: content}.write(t, tree)
		there[name] = content
		o.run(t, append([]string{"add", scripts, "-R", tree}, more...)...)
	}
	stage("hello.txt", "hello\n", "--publish")
	pullAll()

	before := keysOf(t, d, tuf.RoleSnapshot)
	o.run(t, "key", "rotate", scripts, "snapshot", "-r", "--yes")
	if after := keysOf(t, d, tuf.RoleSnapshot); after == before {
		t.Errorf("the snapshot key is still %s", after)
	}
	pullAll()

	// The function dies in the midst of a commit. What was staged is published
	// once, by whoever runs it again.
	stage("hello.txt", "hello again\n")
	slots := targetsSlots(t, d)
	crashed := false
	proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if crashed || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, ".snapshot.json") {
			return testserver.None
		}
		crashed = true
		d.fn.Crash()
		return testserver.Reset
	})
	if _, err := o.try(t.Context(), "publish", scripts); err == nil || !crashed {
		t.Errorf("the function died (%t), and publish says %v", crashed, err)
	}
	o.run(t, "publish", scripts)
	pullAll()
	if got := targetsSlots(t, d) - slots; got != 1 {
		t.Errorf("%d versions of targets were made of one", got)
	}
	if n := o.check(t, scripts); n != len(there) {
		t.Errorf("check counts %d targets, want %d", n, len(there))
	}
}

// targetsSlots is the number of versions of targets in the public store.
func targetsSlots(t *testing.T, d *deployment) int {
	t.Helper()
	n := 0
	for _, key := range listed(t, d.public) {
		if role, _, ok := repo.ParseSlot(strings.TrimPrefix(key, repo.MetadataDir(scripts)+"/")); ok && role == tuf.RoleTargets {
			n++
		}
	}
	return n
}
