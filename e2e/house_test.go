package e2e

import (
	"bytes"
	"context"
	"io/fs"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/internal/forge"
	"publisher/internal/interop"
	"publisher/internal/serve"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
)

const houseCollection = "example.com/house"

// A house is a collection all of whose keys are in the hands of a test, which
// signs what it likes, and has it published by those who publish for everybody.
type house struct {
	t      *testing.T
	store  *storage.Memory
	ring   houseRing
	cache  houseCache
	now    time.Time
	root   []byte // the first
	server *httptest.Server
}

// A roleSpec is a targets role and those below it.
type roleSpec struct {
	name        string
	paths       []string
	terminating bool
	keys        int   // 0 for 1
	threshold   int64 // 0 for 1
	targets     files
	below       []roleSpec

	ids []string // of its keys, once they are made
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{
		t: t, store: storage.NewMemory(), ring: houseRing{}, cache: houseCache{},
		now: time.Now().Add(-48 * time.Hour),
	}
	g := repo.Genesis{Collection: houseCollection, Keys: map[string][]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{h.key(keys.Ed25519)}
	}
	root, err := repo.NewRoot(t.Context(), g, h.ring, h.now)
	if err != nil {
		t.Fatal(err)
	}
	h.root = root.Bytes()
	h.cache["root.json"] = h.root
	h.server = httptest.NewServer(serve.Handler(h.store))
	t.Cleanup(h.server.Close)
	return h
}

// key makes a key of that kind.
func (h *house) key(kind string) tuf.Key {
	h.t.Helper()
	private, err := keys.Generate(kind)
	if err != nil {
		h.t.Fatal(err)
	}
	signer, key, err := keys.NewSigner(private)
	if err != nil {
		h.t.Fatal(err)
	}
	h.ring[key.ID()] = signer
	return key
}

func (h *house) committer() *repo.Committer {
	return &repo.Committer{
		Store: h.store, Collection: houseCollection, Cache: h.cache, Keys: h.ring, Now: func() time.Time { return h.now },
	}
}

func (h *house) publisher() *repo.Publisher {
	c := h.committer()
	return &repo.Publisher{
		Store: c.Store, Collection: c.Collection, Cache: c.Cache, Keys: c.Keys, Now: c.Now, Commit: c.Commit,
		Open: func(c repo.Change) (repo.Body, error) {
			return houseBody{strings.NewReader(strings.TrimPrefix(c.Source, "content:"))}, nil
		},
	}
}

// build publishes a tree of roles for the first time.
func (h *house) build(top roleSpec) {
	h.t.Helper()
	sub := h.submission(top)
	if _, err := h.committer().Commit(h.t.Context(), nil, sub); err != nil {
		h.t.Fatal(err)
	}
	h.mustBeWhole()
}

// submission signs a tree of roles, with keys made for the purpose.
func (h *house) submission(top roleSpec) *repo.Submission {
	h.t.Helper()
	root, err := tuf.Parse[tuf.Root](h.root, repo.MaxRoot)
	if err != nil {
		h.t.Fatal(err)
	}
	sub := &repo.Submission{Collection: houseCollection, Files: map[string][]byte{tuf.RoleRoot: h.root}}
	top.name, top.ids = tuf.RoleTargets, root.Signed.Roles[tuf.RoleTargets].KeyIDs
	h.signTree(sub, top)
	return sub
}

func (h *house) signTree(sub *repo.Submission, r roleSpec) {
	h.t.Helper()
	t := tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	t.Version, t.Expires, t.Publisher.Collection = 1, h.now.Add(100*24*time.Hour), houseCollection
	for name, content := range r.targets {
		t.Targets[name] = h.target(name, content)
	}
	for _, child := range r.below {
		child = h.delegate(&t, child)
		h.signTree(sub, child)
	}
	sub.Files[r.name] = h.signed(t, r.ids[:max(1, r.threshold)])
}

// target puts a target's content into the store.
func (h *house) target(name, content string) tuf.TargetFile {
	h.t.Helper()
	sum := forge.Sum(content)
	key := repo.TargetKey(houseCollection, name, sum)
	if _, err := h.store.Put(h.t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		h.t.Fatal(err)
	}
	return tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": sum}}
}

// delegate makes the keys of a role, and lists them with its delegator.
func (h *house) delegate(t *tuf.Targets, r roleSpec) roleSpec {
	h.t.Helper()
	if t.Delegations == nil {
		t.Delegations = &tuf.Delegations{Keys: map[string]tuf.Key{}}
	}
	for range max(1, r.keys) {
		key := h.key(keys.Ed25519)
		t.Delegations.Keys[key.ID()] = key
		r.ids = append(r.ids, key.ID())
	}
	t.Delegations.Roles = append(t.Delegations.Roles, tuf.DelegatedRole{
		Name: r.name, KeyIDs: r.ids, Threshold: max(1, r.threshold), Paths: r.paths, Terminating: r.terminating,
	})
	return r
}

// signed is a file with the signatures of these keys.
func (h *house) signed(t tuf.Targets, ids []string) []byte { return houseFile(h, t, ids).Bytes() }

func houseFile[T tuf.Content](h *house, content T, ids []string) *tuf.File[T] {
	h.t.Helper()
	f, err := tuf.New(content)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, id := range ids {
		sig, err := h.ring[id].SignMessage(bytes.NewReader(f.Payload()))
		if err != nil {
			h.t.Fatal(err)
		}
		if err := f.AddSignature(id, sig); err != nil {
			h.t.Fatal(err)
		}
	}
	return f
}

// mustBeWhole fails the test for everything that check finds.
func (h *house) mustBeWhole() {
	h.t.Helper()
	trusted, err := h.cache.Get("root.json")
	if err != nil {
		h.t.Fatal(err)
	}
	c := &repo.Checker{Source: h.store, Collection: houseCollection, Trusted: trusted, Now: h.now, Deep: true}
	found, err := c.Check(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range found.Problems {
		h.t.Errorf("check: %s: %s", p.File, p.What)
	}
}

// pull is what a client is told; dir is where it remembers what it saw.
func (h *house) pull(dir string, targets files) interop.Pull {
	base := h.server.URL + "/" + houseCollection
	return interop.Pull{
		MetadataURL: base + "/metadata", TargetsURL: base + "/targets", Root: h.root, Targets: targets.sums(), Dir: dir,
	}
}

// houseRing is a repo.Keyring.
type houseRing map[string]signature.Signer

func (r houseRing) Signer(_ context.Context, _, keyID string) (signature.Signer, error) {
	if s, ok := r[keyID]; ok {
		return s, nil
	}
	return nil, repo.ErrNoKey
}

type houseBody struct{ *strings.Reader }

func (houseBody) Close() error { return nil }

// houseCache is a repo.Cache for one goroutine after another.
type houseCache map[string][]byte

var houseLock sync.Mutex

func (c houseCache) Get(name string) ([]byte, error) {
	houseLock.Lock()
	defer houseLock.Unlock()
	if data, ok := c[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (c houseCache) Put(name string, data []byte) error {
	houseLock.Lock()
	defer houseLock.Unlock()
	c[name] = data
	return nil
}

func (c houseCache) Replace(name string, old, data []byte) (bool, error) {
	houseLock.Lock()
	defer houseLock.Unlock()
	if !bytes.Equal(c[name], old) {
		return false, nil
	}
	c[name] = data
	return true, nil
}
