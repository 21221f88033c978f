package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"publisher/internal/ownertest"
	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/repo/tuf"
)

// mustBeSound holds the invariants against what is published.
func mustBeSound(t *testing.T, d *deployment, o *ownertest.Owner) {
	t.Helper()
	c := &repo.Checker{Source: d.public, Collection: o.Collection, Trusted: o.Root(), Now: time.Now(), Deep: true}
	found, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found.Problems {
		t.Errorf("%s: %s", p.File, p.What)
	}
}

// TestLambdaCrash ends the process at each of its requests to the store in turn.
// The schedule does the rest: each submission is answered once, and committed.
func TestLambdaCrash(t *testing.T) {
	server, proxy := testserver.VersityGW(t).Through(t)
	d := deploy(t, server, sealedKeys)
	o := d.owner(t, scripts, nil)
	there := files{"first": "x"}
	if _, err := o.Publish(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	crashes := 0
	for ; crashes < 50; crashes++ {
		target := fmt.Sprint("target ", crashes)
		name, id, err := o.Leave(t.Context(), files{target: "x"})
		if err != nil {
			t.Fatal(err)
		}
		there[target] = "x"
		crashed := crashAt(proxy, crashes+1, d.fn.Crash)
		_, err = o.Commit(t.Context(), name)
		proxy.Break(func(*http.Request, int) testserver.Fault { return testserver.None })
		if !crashed.Load() {
			if err != nil {
				t.Errorf("without a crash: %v", err)
			}
			break
		}
		if err == nil || !strings.Contains(err.Error(), "Runtime.ExitError") {
			t.Errorf("crash %d: %v", crashes+1, err)
		}
		mustBeSound(t, d, o)
		d.send(t, scheduled("aws.scheduler"))
		receipt, err := repo.Inbox{Store: d.inbox, Collection: scripts}.Receipt(t.Context(), id)
		if err != nil || receipt.Err() != nil {
			t.Fatalf("crash %d: receipt %+v, %v", crashes+1, receipt, err)
		}
		mustBeSound(t, d, o)
	}
	t.Logf("the process was ended at %d of its requests", crashes)
	if crashes < 10 || crashes == 50 { // a commit reads and writes at least five objects each
		t.Errorf("the process was ended at %d of its requests", crashes)
	}
	p := &puller{d, o, t.TempDir(), there}
	p.pull(t)
}

// crashAt calls crash at the nth request from now on.
func crashAt(proxy *testserver.Proxy, n int, crash func()) *atomic.Bool {
	crashed := new(atomic.Bool)
	proxy.Break(func(_ *http.Request, i int) testserver.Fault {
		if i != n {
			return testserver.None
		}
		crash()
		crashed.Store(true)
		return testserver.Reset
	})
	return crashed
}

// TestLambdaAtOnce has two processes commit the same submission, over and over:
// it is published once, and nobody is told anything else.
func TestLambdaAtOnce(t *testing.T) {
	d := deploy(t, testserver.VersityGW(t), sealedKeys)
	o := d.owner(t, scripts, nil)
	if _, err := o.Publish(t.Context(), files{"first": "x"}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		name, id, err := o.Leave(t.Context(), files{fmt.Sprint(i): "x"})
		if err != nil {
			t.Fatal(err)
		}
		var receipts [2]*repo.Receipt
		var wg sync.WaitGroup
		for j := range receipts {
			wg.Go(func() {
				r, err := o.Commit(t.Context(), name)
				if err != nil && !strings.Contains(err.Error(), "not in the inbox") {
					t.Error(err)
				}
				receipts[j] = r
			})
		}
		wg.Wait()
		if receipts[0] == nil && receipts[1] == nil {
			t.Fatal("neither got a receipt")
		}
		for _, r := range receipts {
			if r != nil && (r.Submission != id || r.Versions[tuf.RoleTargets] != int64(i+2)) {
				t.Errorf("receipt %+v", r)
			}
		}
	}
	mustBeSound(t, d, o)
	processes := 0
	for _, inv := range d.fn.Invocations() {
		if inv.Init > 0 {
			processes++
		}
	}
	if processes != 2 {
		t.Errorf("%d processes took part", processes)
	}
}
