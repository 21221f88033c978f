package repo_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// pinned follows the roots of w's store from those in the cache.
func (w *world) pinned(ctx context.Context, cache memoryCache, pin *repo.Pin) error {
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: cache, Now: w.now, Pin: pin}
	_, err := l.Roots(ctx)
	return err
}

// wantPin fails unless err is what a contradicted pin gives.
func wantPin(t *testing.T, err error, says string) {
	t.Helper()
	var pin *repo.PinError
	var unverified *repo.VerifyError
	if !errors.As(err, &pin) || !errors.As(err, &unverified) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want a PinError with %q", err, says)
	}
}

// rotated is a published collection with a chain of roots, each with another
// root key.
func rotated(t *testing.T, roots int) (*world, []*tuf.File[tuf.Root]) {
	w := newWorld(t)
	first, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	all := []*tuf.File[tuf.Root]{first}
	for len(all) < roots {
		all = append(all, w.nextRoot(all[len(all)-1], nil))
	}
	w.mustPublish(add("a", "1"))
	for _, root := range all[1:] {
		key := repo.SlotKey(collection, tuf.RoleRoot, root.Signed.Version)
		if _, err := w.store.Put(t.Context(), key, bytes.NewReader(root.Bytes()), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	return w, all
}

// nextRoot is a root with another root key, signed by both.
func (w *world) nextRoot(old *tuf.File[tuf.Root], change func(*tuf.Root)) *tuf.File[tuf.Root] {
	r := old.Signed
	key, before := w.ring.Generate(w.t), r.Roles[tuf.RoleRoot].KeyIDs
	r.Keys, r.Roles = map[string]tuf.Key{key.ID(): key}, map[string]tuf.Role{}
	for role, was := range old.Signed.Roles {
		r.Roles[role] = was
		for _, id := range was.KeyIDs {
			r.Keys[id] = old.Signed.Keys[id]
		}
	}
	r.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: []string{key.ID()}, Threshold: 1}
	r.Version++
	r.Publisher.Parent = old.SHA256()
	if change != nil {
		change(&r)
	}
	return forge.Signed(w.t, w.ring, r, append(slices.Clone(before), key.ID())...)
}

func rootKey(root *tuf.File[tuf.Root]) string { return root.Signed.Roles[tuf.RoleRoot].KeyIDs[0] }

// TestPinRoot: a pin by hash or key names where trust starts; a chain of roots
// from there on keeps it, wherever in the chain somebody stands.
func TestPinRoot(t *testing.T) {
	const chain = 5
	w, roots := rotated(t, chain)
	unknown := strings.Repeat("ab", 32)
	for from := range chain {
		for meant := range chain {
			for name, pin := range map[string]*repo.Pin{
				"hash": {Roots: []string{unknown, roots[meant].SHA256()}},
				"key":  {Keys: []string{unknown, rootKey(roots[meant])}},
				"both": {Roots: []string{roots[meant].SHA256()}, Keys: []string{rootKey(roots[0])}, Threshold: 1},
			} {
				cache := memoryCache{"root.json": roots[from].Bytes()}
				if err := w.pinned(t.Context(), cache, pin); err != nil {
					t.Errorf("%s of root %d, from root %d: %v", name, meant+1, from+1, err)
				}
				again := w.with(t, storage.NewMemory(), cache) // what was fetched is remembered
				if err := again.pinned(t.Context(), cache, pin); err != nil {
					t.Errorf("%s of root %d, from root %d, again: %v", name, meant+1, from+1, err)
				}
			}
		}
	}
	for name, pin := range map[string]*repo.Pin{
		"another hash":               {Roots: []string{unknown}},
		"another key":                {Keys: []string{unknown}},
		"a key of another role":      {Keys: roots[0].Signed.Roles[tuf.RoleTargets].KeyIDs},
		"more keys than have signed": {Keys: []string{rootKey(roots[0]), rootKey(roots[1])}, Threshold: 2},
		"a good hash, another key":   {Roots: []string{roots[0].SHA256()}, Keys: []string{unknown}},
	} {
		wantPin(t, w.pinned(t.Context(), w.newCache(), pin), "none of the roots that it follows from")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestPinGap: without the roots in between nobody can tell.
func TestPinGap(t *testing.T) {
	w, roots := rotated(t, 3)
	empty := w.with(t, storage.NewMemory(), nil)
	pin := &repo.Pin{Roots: []string{roots[0].SHA256()}}
	wantPin(t, empty.pinned(t.Context(), memoryCache{"root.json": roots[2].Bytes()}, pin), "a SHA-256 that is pinned")
	whole := memoryCache{"root.json": roots[2].Bytes(), "2.root.json": roots[1].Bytes(), "1.root.json": roots[0].Bytes()}
	if err := empty.pinned(t.Context(), whole, pin); err != nil {
		t.Error(err)
	}
}

// TestPinForgedPast: a store can invent a root from which the trusted one
// follows, naming its keys; that proves nothing, and is not remembered.
func TestPinForgedPast(t *testing.T) {
	w := newWorld(t)
	stranger := forge.Ring{}
	pinnedKey := stranger.Generate(t)
	first, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	second := w.nextRoot(first, nil)
	past := first.Signed
	past.Keys = map[string]tuf.Key{pinnedKey.ID(): pinnedKey}
	past.Roles = map[string]tuf.Role{}
	for role, is := range second.Signed.Roles {
		past.Roles[role] = is
		for _, id := range is.KeyIDs {
			past.Keys[id] = second.Signed.Keys[id]
		}
	}
	past.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: []string{pinnedKey.ID(), rootKey(second)}, Threshold: 1}
	forged := forge.Signed(t, w.ring, past, rootKey(second))
	if _, err := w.store.Put(t.Context(), repo.SlotKey(collection, tuf.RoleRoot, 1), bytes.NewReader(forged.Bytes()), storage.Absent); err != nil {
		t.Fatal(err)
	}
	cache := memoryCache{"root.json": second.Bytes()}
	wantPin(t, w.pinned(t.Context(), cache, &repo.Pin{Keys: []string{pinnedKey.ID()}}), "signed by 1 of the keys")
	if _, err := cache.Get("1.root.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the forged root is remembered: %v", err)
	}
}

// certifiedWorld is a collection whose root key has a certificate.
func certifiedWorld(t *testing.T, issue func(key tuf.Key, now time.Time) []*x509.Certificate) (*world, error) {
	w := newWorld(t)
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{w.ring.Generate(t)}
	}
	g.Certs = [][]*x509.Certificate{issue(g.Keys[tuf.RoleRoot][0], w.now)}
	root, err := repo.NewRoot(t.Context(), g, w.ring, w.now)
	if err == nil {
		w.root = root.Bytes()
		w.cache = w.newCache()
	}
	return w, err
}

func pool(cas ...*forge.CA) *x509.CertPool {
	p := x509.NewCertPool()
	for _, ca := range cas {
		p.AddCert(ca.Cert)
	}
	return p
}

func TestPinCA(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca, other := forge.NewCA(t, now), forge.NewCA(t, now)
	between := ca.Below(t, now)
	for name, test := range map[string]struct {
		issue func(key tuf.Key, now time.Time) []*x509.Certificate
		says  string // empty if it is good
	}{
		"good": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
		}, ""},
		"through another CA": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{between.Issue(t, key, collection, now, nil), between.Cert}
		}, ""},
		"by URI": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, "", now, forge.URI("tuf:"+collection))}
		}, ""},
		"of another CA": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{other.Issue(t, key, collection, now, nil)}
		}, "unknown authority"},
		"with a link missing": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{between.Issue(t, key, collection, now, nil)}
		}, "unknown authority"},
		"expired": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, collection, now.Add(-13*time.Hour), nil)}
		}, "expired"},
		"of a web server": {func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, collection, now, func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			})}
		}, "incompatible key usage"},
	} {
		w, err := certifiedWorld(t, test.issue)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = w.pinned(t.Context(), w.newCache(), &repo.Pin{CAs: pool(ca)})
		if test.says != "" {
			wantPin(t, err, test.says)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := newWorld(t)
	wantPin(t, plain.pinned(t.Context(), plain.newCache(), &repo.Pin{CAs: pool(ca)}), "no certificate for a key that has signed it")
}

// TestCertsRefused: what could never be trusted is not made.
func TestCertsRefused(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca := forge.NewCA(t, now)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, issue := range map[string]func(key tuf.Key, now time.Time) []*x509.Certificate{
		"a key of an unknown kind": func(tuf.Key, time.Time) []*x509.Certificate {
			return []*x509.Certificate{{PublicKey: &p224.PublicKey, Subject: pkix.Name{CommonName: collection}}}
		},
		"another name": func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, collection+"/x", now, forge.URI("https:"+collection))}
		},
		"another key": func(_ tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, forge.Ring{}.Generate(t), collection, now, nil)}
		},
		"the CA first": func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Cert, ca.Issue(t, key, collection, now, nil)}
		},
	} {
		var refused *repo.Rejection
		if _, err := certifiedWorld(t, issue); !errors.As(err, &refused) || !strings.Contains(err.Error(), "root: ") {
			t.Errorf("%s: %v", name, err)
		} else if name == "a key of an unknown kind" && !strings.Contains(err.Error(), fmt.Sprintf("certificate of %q: ", collection)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPinStolenCertificate: certificates are public. Another root with the same
// one, signed by the thief's key alone, is refused, and so is one that names a
// key so as to take its certificate over.
func TestPinStolenCertificate(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca := forge.NewCA(t, now)
	w, err := certifiedWorld(t, func(key tuf.Key, now time.Time) []*x509.Certificate {
		return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
	})
	if err != nil {
		t.Fatal(err)
	}
	real, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	thief := forge.Ring{}
	key := thief.Generate(t)
	id := rootKey(real)
	for name, change := range map[string]func(*tuf.Root){
		"beside the thief's key": func(r *tuf.Root) { r.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: []string{id, key.ID()}, Threshold: 1} },
		"for the thief's key": func(r *tuf.Root) {
			r.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: []string{key.ID()}, Threshold: 1}
			r.Publisher.Certs = map[string]string{key.ID(): r.Publisher.Certs[id]}
		},
	} {
		stolen := real.Signed
		stolen.Keys = map[string]tuf.Key{key.ID(): key}
		stolen.Roles = map[string]tuf.Role{}
		for role, is := range real.Signed.Roles {
			stolen.Roles[role] = is
			for _, id := range is.KeyIDs {
				stolen.Keys[id] = real.Signed.Keys[id]
			}
		}
		change(&stolen)
		cache := memoryCache{"root.json": forge.Signed(t, thief, stolen, key.ID()).Bytes()}
		wantPin(t, w.pinned(t.Context(), cache, &repo.Pin{CAs: pool(ca)}), "certificate")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestPinCAOfAnotherCollection: who may sign for one name may not for another.
func TestPinCAOfAnotherCollection(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca := forge.NewCA(t, now)
	w, err := certifiedWorld(t, func(key tuf.Key, now time.Time) []*x509.Certificate {
		return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &repo.Loader{Source: w.store, Collection: "example.com/other", Cache: w.newCache(), Now: w.now, Pin: &repo.Pin{CAs: pool(ca)}}
	_, err = l.Roots(t.Context())
	wantPin(t, err, "it does not say that it is of example.com/other")
}

// TestPinCARotation: a CA vouches for the newest root, so that a key without a
// certificate ends the trust, and one with a new certificate does not.
func TestPinCARotation(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca := forge.NewCA(t, now)
	w, err := certifiedWorld(t, func(key tuf.Key, now time.Time) []*x509.Certificate {
		return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	pin := &repo.Pin{CAs: pool(ca)}
	bare := w.nextRoot(first, func(r *tuf.Root) { r.Publisher.Certs = nil })
	good := w.nextRoot(bare, func(r *tuf.Root) {
		id := r.Roles[tuf.RoleRoot].KeyIDs[0]
		cert := ca.Issue(t, r.Keys[id], collection, now, nil)
		r.Publisher.Certs = map[string]string{id: forge.PEM(cert)}
	})
	cache := w.newCache()
	for i, step := range []struct {
		root *tuf.File[tuf.Root]
		good bool
	}{{first, true}, {bare, false}, {good, true}} {
		key := repo.SlotKey(collection, tuf.RoleRoot, step.root.Signed.Version)
		if _, err := w.store.Put(t.Context(), key, bytes.NewReader(step.root.Bytes()), storage.Absent); err != nil {
			t.Fatal(err)
		}
		if err := w.pinned(t.Context(), cache, pin); (err == nil) != step.good {
			t.Errorf("root %d: %v", i+1, err)
		}
	}
}

// TestPinEverywhere: whoever reads a collection does, in order to write too.
func TestPinEverywhere(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	pin := &repo.Pin{Roots: []string{strings.Repeat("ab", 32)}}
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.cache, Now: w.now, Pin: pin}
	p, c := w.publisher(), w.committer()
	p.Pin, c.Pin = pin, pin
	_, loadErr := l.Load(t.Context())
	_, planErr := p.Plan(t.Context(), nil)
	_, publishErr := p.Publish(t.Context(), []repo.Change{add("b", "2")})
	_, refreshErr := c.Refresh(t.Context(), true)
	_, commitErr := c.Commit(t.Context(), nil, &repo.Submission{Collection: collection})
	for _, err := range []error{loadErr, planErr, publishErr, refreshErr, commitErr} {
		wantPin(t, err, "contradicts its pin")
	}
}

// TestRotateCerts: a rotation forgets the certificate of a root key that goes,
// and brings in that of one that comes, with which the CA goes on to vouch.
func TestRotateCerts(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca := forge.NewCA(t, now)
	pin := &repo.Pin{CAs: pool(ca)}
	for _, renew := range []bool{true, false} {
		w, err := certifiedWorld(t, func(key tuf.Key, now time.Time) []*x509.Certificate {
			return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.mustPublish(add("a", "1"))
		key := w.ring.Generate(t)
		r := repo.Rotation{Roles: map[string]repo.Signers{tuf.RoleRoot: {Keys: []tuf.Key{key}, Threshold: 1}}, After: 1}
		if renew {
			r.Certs = [][]*x509.Certificate{{ca.Issue(t, key, collection, now, nil)}}
		}
		if _, err := w.publisher().Rotate(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		cache := w.newCache()
		err = w.pinned(t.Context(), cache, pin)
		if renew && err != nil {
			t.Error(err)
		}
		if !renew {
			wantPin(t, err, "no certificate for a key that has signed it")
		}
		root, err := tuf.Parse[tuf.Root](cache["root.json"], repo.MaxRoot)
		if err != nil || root.Signed.Version != 2 {
			t.Fatalf("root: %v", err)
		}
		if _, ok := root.Signed.Publisher.Certs[key.ID()]; ok != renew || len(root.Signed.Publisher.Certs) > 1 {
			t.Errorf("renewed %v, and the certificates are %v", renew, root.Signed.Publisher.Certs)
		}
	}
	// The same certificates again are nothing to do; others are.
	w, err := certifiedWorld(t, func(key tuf.Key, now time.Time) []*x509.Certificate {
		return []*x509.Certificate{ca.Issue(t, key, collection, now, nil)}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mustPublish(add("a", "1"))
	first, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	renewed := repo.Rotation{Certs: [][]*x509.Certificate{{ca.Issue(t, first.Signed.Keys[rootKey(first)], collection, now, nil)}}, After: 1}
	for i, want := range []bool{true, false} {
		receipt, err := w.publisher().Rotate(t.Context(), renewed)
		if err != nil || (receipt != nil) != want {
			t.Errorf("run %d: %v, %v", i+1, receipt, err)
		}
	}
}
