package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
)

// newTestRoot is a root, signed by its one key, after a change that a test makes.
func newTestRoot(t *testing.T, change func(*tuf.Root)) []byte {
	t.Helper()
	private, err := keys.Generate(keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, key, err := keys.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	root := tuf.Root{ConsistentSnapshot: true, Keys: map[string]tuf.Key{key.ID(): key}, Roles: map[string]tuf.Role{}}
	root.Version, root.Expires = 1, time.Now().Add(time.Hour)
	for _, role := range tuf.TopLevel {
		root.Roles[role] = tuf.Role{KeyIDs: []string{key.ID()}, Threshold: 1}
	}
	change(&root)
	f, err := tuf.New(root)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.SignMessage(bytes.NewReader(f.Payload()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddSignature(key.ID(), sig); err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

func TestParseRoot(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*tuf.Root)
		ok     bool
	}{
		"of another maker": {func(*tuf.Root) {}, true},
		"of this collection": {func(r *tuf.Root) {
			r.Publisher.Collection = "example.com/scripts"
		}, true},
		"expired": {func(r *tuf.Root) { // publishing goes on from there, and readers are told
			r.Expires = time.Now().Add(-time.Hour)
		}, true},
		"of another collection": {func(r *tuf.Root) {
			r.Publisher.Collection = "example.com/script"
		}, false},
		"threshold not met": {func(r *tuf.Root) {
			r.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: r.Roles[tuf.RoleRoot].KeyIDs, Threshold: 2}
		}, false},
		"threshold 0": {func(r *tuf.Root) {
			r.Roles[tuf.RoleRoot] = tuf.Role{KeyIDs: r.Roles[tuf.RoleRoot].KeyIDs}
		}, false},
		"key not listed": {func(r *tuf.Root) { r.Keys = map[string]tuf.Key{} }, false},
		"role missing":   {func(r *tuf.Root) { delete(r.Roles, tuf.RoleSnapshot) }, false},
		"version 0":      {func(r *tuf.Root) { r.Version = 0 }, false},
	} {
		_, err := parseRoot(newTestRoot(t, test.change), "example.com/scripts", "root.json")
		var refused *repo.VerifyError
		if test.ok && err != nil || !test.ok && !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFetchRoot(t *testing.T) {
	const name = "example.com/scripts"
	store := storage.NewMemory()
	var hashes []string
	for n := range int64(3) {
		data := fmt.Appendf(nil, "root %d", n+1)
		if _, err := store.Put(t.Context(), repo.SlotKey(name, tuf.RoleRoot, n+1), bytes.NewReader(data), storage.Absent); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		hashes = append(hashes, hex.EncodeToString(sum[:]))
	}
	for i, hash := range hashes {
		from, data, err := fetchRoot(t.Context(), store, name, []string{hash})
		if want := fmt.Sprintf("%d.root.json", i+1); from != want || string(data) != fmt.Sprintf("root %d", i+1) || err != nil {
			t.Errorf("by the hash of root %d: %s, %q, %v", i+1, from, data, err)
		}
	}
	if from, _, err := fetchRoot(t.Context(), store, name, nil); from != "1.root.json" || err != nil {
		t.Errorf("on first use: %s, %v", from, err)
	}
	_, _, err := fetchRoot(t.Context(), store, name, []string{hex.EncodeToString(make([]byte, 32))})
	if refused := new(repo.VerifyError); !errors.As(err, &refused) {
		t.Errorf("by the hash of no root: %v", err)
	}
	if _, _, err := fetchRoot(t.Context(), store, "example.com/other", nil); !errors.Is(err, repo.ErrNotPublished) {
		t.Errorf("of a collection that is not there: %v", err)
	}
	huge := make([]byte, repo.MaxRoot+1)
	if _, err := store.Put(t.Context(), repo.SlotKey("example.com/huge", tuf.RoleRoot, 1), bytes.NewReader(huge), storage.Absent); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetchRoot(t.Context(), store, "example.com/huge", nil); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("of more than %d bytes: %v", repo.MaxRoot, err)
	}
}
