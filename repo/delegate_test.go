package repo_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
)

// signed is a file with the signatures of some keys of the ring.
func signed[T tuf.Content](t *testing.T, ring ring, content T, keyIDs ...string) *tuf.File[T] {
	t.Helper()
	f, err := tuf.New(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range keyIDs {
		if err := f.AddSignature(id, ring.sign(t, id, f.Payload())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (r ring) sign(t *testing.T, keyID string, payload []byte) []byte {
	t.Helper()
	signer, err := r.Signer(t.Context(), "", keyID)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.SignMessage(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// delegate publishes a delegation below parent, and the first, empty version of
// its role.
func (w *world) delegate(parent, role string, paths ...string) {
	w.t.Helper()
	f, err := w.view().Role(w.t.Context(), parent)
	if err != nil {
		w.t.Fatal(err)
	}
	key := w.ring.generate(w.t)
	above := successor(f, w.now)
	above.Delegations = withRole(above.Delegations, key, tuf.DelegatedRole{
		Name: role, KeyIDs: []string{key.ID()}, Threshold: 1, Paths: paths, Terminating: true,
	})
	below := tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	below.Version, below.Expires, below.Publisher.Collection = 1, above.Expires, collection
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{
		parent: signed(w.t, w.ring, above, f.Signatures[0].KeyID).Bytes(),
		role:   signed(w.t, w.ring, below, key.ID()).Bytes(),
	}}
	if _, err := w.committer().Commit(w.t.Context(), nil, sub); err != nil {
		w.t.Fatal(err)
	}
}

// withRole is the delegations with one more.
func withRole(d *tuf.Delegations, key tuf.Key, role tuf.DelegatedRole) *tuf.Delegations {
	if d == nil {
		d = &tuf.Delegations{}
	}
	keys := map[string]tuf.Key{key.ID(): key}
	maps.Copy(keys, d.Keys)
	return &tuf.Delegations{Keys: keys, Roles: append(slices.Clip(d.Roles), role)}
}

// successor is the content of the next version of a role.
func successor(f *tuf.File[tuf.Targets], now time.Time) tuf.Targets {
	next := f.Signed
	next.Targets = maps.Clone(next.Targets)
	next.Version++
	next.Expires = now.Add(100 * 24 * time.Hour)
	next.Publisher.Parent = f.SHA256()
	return next
}
