package interop

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// hard is the target whose name is hardest on URLs.
const hard = "sub dir/größe+1 日本.deb"

func smallRepo(tb testing.TB, key crypto.Signer) *repo {
	tb.Helper()
	r := newRepo(tb, key)
	r.add("hello.txt", strings.NewReader("hello\n"))
	r.add("empty", strings.NewReader(""))
	r.add(hard, strings.NewReader("hard\n"))
	r.add("__proto__", strings.NewReader("no property of a JavaScript object\n"))
	r.publish(1)
	return r
}

func TestPull(t *testing.T) {
	keys := map[string]func(testing.TB) crypto.Signer{"ed25519": edKey, "ecdsa": ecKey, "rsa": rsaKey}
	for kind, key := range keys {
		p := smallRepo(t, key(t)).serve()
		for _, c := range Clients(t) {
			t.Run(kind+"/"+c.Name(), func(t *testing.T) {
				mustPull(t, c, p)
			})
		}
	}
}

func mustPull(t *testing.T, c Client, p Pull) {
	t.Helper()
	start := time.Now()
	if err := c.Pull(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d targets in %v", c.Name(), len(p.Targets), time.Since(start).Round(time.Millisecond))
}

func TestPullAgain(t *testing.T) {
	r := smallRepo(t, edKey(t))
	p := r.serve()
	p.Dir = t.TempDir()
	for v := int64(1); v <= 3; v++ {
		r.add("hello.txt", strings.NewReader(strings.Repeat("hello\n", int(v))))
		r.publish(v + 1)
		p.Targets = r.pull("").Targets
		for _, c := range Clients(t) {
			mustPull(t, c, p)
		}
	}
}

func TestPullDelegated(t *testing.T) {
	r := newRepo(t, edKey(t))
	r.add("sub/hello.txt", strings.NewReader("hello\n"))
	r.publishDelegated(1, "sub/*")
	p := r.serve()
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) {
			if c.SkipDelegations() {
				mustRefuse(t, c, p, "not present in the targets role")
				return
			}
			mustPull(t, c, p)
		})
	}
}

func TestPullBigTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches 200 MB with every client")
	}
	r := newRepo(t, edKey(t))
	r.add("big", io.LimitReader(rand.NewChaCha8([32]byte{}), 200<<20))
	r.publish(1)
	p := r.serve()
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) { mustPull(t, c, p) })
	}
}

func TestPullHTTPS(t *testing.T) {
	r := smallRepo(t, edKey(t))
	srv := httptest.NewUnstartedServer(r.handler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	known := r.pull(srv.URL)
	known.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) {
			mustPull(t, c, known)
			mustRefuse(t, c, r.pull(srv.URL), "certificate")
		})
	}
}

// TestRefuse breaks a repository that every client has just accepted. Each client must turn it down, for the right reason:
// the words are those of the pinned versions.
func TestRefuse(t *testing.T) {
	rows := []struct {
		name   string
		broken func(*repo, *Pull)
		fresh  bool // by a client without state; otherwise by one that has seen version 2
		words  map[string]string
	}{
		{"flipped byte in a target", flipByte, false, map[string]string{
			"go-tuf-v2.4.2": "hash verification failed", "go-tuf-v0.7.0": "wrong sha256 hash",
			"tuf-js-6.0.2": "Expected hash", "tuf-browser-0.1.8": "sha256 hash mismatch"}},
		{"target gone", dropTarget, false, map[string]string{
			"go-tuf-v2.4.2": "404", "go-tuf-v0.7.0": "not found",
			"tuf-js-6.0.2": "Failed to download", "tuf-browser-0.1.8": "404"}},
		{"target that is not listed", askForMore, false, map[string]string{
			"go-tuf-v2.4.2": "not found", "go-tuf-v0.7.0": "unknown target",
			"tuf-js-6.0.2": "not found", "tuf-browser-0.1.8": "not present"}},
		{"expired timestamp", expire, false, map[string]string{
			"go-tuf-v2.4.2": "expired", "go-tuf-v0.7.0": "expired",
			"tuf-js-6.0.2": "expired", "tuf-browser-0.1.8": "Freeze attack"}},
		{"expired timestamp, fresh client", expire, true, map[string]string{
			"go-tuf-v2.4.2": "expired", "go-tuf-v0.7.0": "expired",
			"tuf-js-6.0.2": "expired", "tuf-browser-0.1.8": "Freeze attack"}},
		{"wrong root", otherRoot, true, map[string]string{
			"go-tuf-v2.4.2": "not enough signatures", "go-tuf-v0.7.0": "signatures did not meet threshold",
			"tuf-js-6.0.2": "signed by 0/1 keys", "tuf-browser-0.1.8": "Failed verifying timestamp role signature"}},
		{"rolled-back timestamp", rollBackTimestamp, false, map[string]string{
			"go-tuf-v2.4.2": "new timestamp version 1 must be >= 2", "go-tuf-v0.7.0": "version 1 is lower than current version 2",
			"tuf-js-6.0.2": "New timestamp version 1 is less", "tuf-browser-0.1.8": "timestamp file has a lower version"}},
		{"rolled-back snapshot", rollBackSnapshot, false, map[string]string{
			"go-tuf-v2.4.2": "new snapshot version 1 must be >= 2", "go-tuf-v0.7.0": "version 1 is lower than current version 2",
			"tuf-js-6.0.2": "New snapshot version 1 is less", "tuf-browser-0.1.8": "snapshot version has been rolled back"}},
	}
	for _, row := range rows {
		r := smallRepo(t, edKey(t))
		r.publish(2)
		p := r.serve()
		p.Dir = t.TempDir()
		for _, c := range Clients(t) {
			mustPull(t, c, p)
		}
		row.broken(r, &p)
		if row.fresh {
			p.Dir = ""
		}
		for _, c := range Clients(t) {
			t.Run(row.name+"/"+c.Name(), func(t *testing.T) {
				mustRefuse(t, c, p, row.words[c.Name()])
			})
		}
	}
}

func mustRefuse(t *testing.T, c Client, p Pull, words string) {
	t.Helper()
	err := c.Pull(t.Context(), p)
	if !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if words == "" || !strings.Contains(err.Error(), words) {
		t.Errorf("refused with %q, want it to say %q", err, words)
	}
	t.Log(err)
}

func flipByte(r *repo, _ *Pull) {
	data, err := os.ReadFile(r.target(hard))
	r.ok(err)
	data[0] ^= 1
	r.ok(os.WriteFile(r.target(hard), data, 0o644))
}

func dropTarget(r *repo, _ *Pull) { r.ok(os.Remove(r.target(hard))) }

func askForMore(_ *repo, p *Pull) {
	p.Targets = maps.Clone(p.Targets)
	p.Targets["missing"] = make([]byte, sha256.Size)
}

func expire(r *repo, _ *Pull) {
	r.timestamp(3, 2, time.Now().UTC().Truncate(time.Second).Add(-time.Hour))
}

func otherRoot(r *repo, p *Pull) { p.Root = newRepo(r.tb, edKey(r.tb)).root }

func rollBackTimestamp(r *repo, _ *Pull) { r.timestamp(1, 1, later) }

func rollBackSnapshot(r *repo, _ *Pull) { r.timestamp(3, 1, later) }

// TestRollbackNeedsState shows that the refusals of a rollback come from what the client remembers.
func TestRollbackNeedsState(t *testing.T) {
	r := smallRepo(t, edKey(t))
	r.publish(2)
	p := r.serve()
	for name, rollBack := range map[string]func(*repo, *Pull){"timestamp": rollBackTimestamp, "snapshot": rollBackSnapshot} {
		rollBack(r, &p)
		for _, c := range Clients(t) {
			t.Run(name+"/"+c.Name(), func(t *testing.T) { mustPull(t, c, p) })
		}
	}
}

func TestRefreshOnly(t *testing.T) {
	r := smallRepo(t, edKey(t))
	p := r.serve()
	p.Targets = nil
	dropTarget(r, nil)
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) { mustPull(t, c, p) })
	}
}

// TestOtherBytes has the client accept what the test does not expect: an error, but not the client's refusal.
func TestOtherBytes(t *testing.T) {
	p := smallRepo(t, edKey(t)).serve()
	p.Targets = map[string][]byte{"hello.txt": make([]byte, sha256.Size)}
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) {
			err := c.Pull(t.Context(), p)
			if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `"hello.txt"`) {
				t.Errorf("got %v, want an error about hello.txt that is not a refusal", err)
			}
		})
	}
}

// TestPanic publishes a null target, on which go-tuf v2 panics.
func TestPanic(t *testing.T) {
	r := smallRepo(t, edKey(t))
	p := r.serve()
	r.files["x"] = nil
	r.publish(2)
	err := Clients(t)[0].Pull(t.Context(), p)
	if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("got %v, want the panic as an error that is not a refusal", err)
	}
}

func TestPullEndsWithContext(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
	defer srv.Close()
	p := smallRepo(t, edKey(t)).pull(srv.URL)
	for _, c := range Clients(t) {
		t.Run(c.Name(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err := c.Pull(ctx, p)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrRefused) {
				t.Errorf("got %v, want the deadline", err)
			}
		})
	}
}

// TestDelegationWithoutFile: no client passes over a delegation whose role the snapshot does not list, though another
// role has the target. Whoever delegates must publish the role's first version together with the delegation.
func TestDelegationWithoutFile(t *testing.T) {
	words := map[string]string{
		"go-tuf-v2.4.2": "role late not found in snapshot", "go-tuf-v0.7.0": "role late not in snapshot",
		"tuf-js-6.0.2": "of undefined (reading 'length')",
	}
	r := newRepo(t, edKey(t))
	r.add("sub/hello.txt", strings.NewReader("hello\n"))
	r.publishDelegatedBeside(1, "sub/*", "late")
	p := r.serve()
	for _, c := range Clients(t) {
		if c.SkipDelegations() {
			continue
		}
		t.Run(c.Name(), func(t *testing.T) { mustRefuse(t, c, p, words[c.Name()]) })
	}
}
