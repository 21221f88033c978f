// Package forge makes submissions to a published collection that are good but
// for one thing, for tests of those who must refuse them. The tables of what can
// be wrong are here too, each row with what is said of it.
package forge

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// Collection is the one that all scenes are about.
const Collection = "example.com/scripts"

// A Scene is a collection, and the keys of those who publish to it.
type Scene struct {
	T     *testing.T
	Store storage.Store // the public one
	Root  []byte        // the first
	Ring  Ring
	Now   time.Time
}

// Family publishes a target and roles below roles, which the rows are about, to
// a collection that is not published yet. Commit publishes a submission.
func (s *Scene) Family(commit func(*repo.Submission) error) {
	s.T.Helper()
	try := func(sub *repo.Submission) {
		s.T.Helper()
		if err := commit(sub); err != nil {
			s.T.Fatal(err)
		}
	}
	try(s.First(map[string]string{"old": "1"}))
	try(s.Delegation("targets", "ci", "ci/*", "ci/*/*"))
	try(s.Delegation("ci", "ci.deep", "ci/deep/*", "*"))
}

// First is the first publication, of targets whose objects it leaves in the
// store.
func (s *Scene) First(contents map[string]string) *repo.Submission {
	s.T.Helper()
	root, err := tuf.Parse[tuf.Root](s.Root, repo.MaxRoot)
	if err != nil {
		s.T.Fatal(err)
	}
	top := s.start()
	for name, content := range contents {
		top.Targets[name] = tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": Sum(content)}}
		s.put(repo.TargetKey(Collection, name, Sum(content)), content)
	}
	by := root.Signed.Roles[tuf.RoleTargets].KeyIDs[0]
	return &repo.Submission{Collection: Collection, Files: map[string][]byte{
		tuf.RoleRoot: s.Root, tuf.RoleTargets: Signed(s.T, s.Ring, top, by).Bytes(),
	}}
}

// Delegation is a delegation below parent, and the first, empty version of its
// role.
func (s *Scene) Delegation(parent, role string, paths ...string) *repo.Submission {
	s.T.Helper()
	f, err := s.View().Role(s.T.Context(), parent)
	if err != nil {
		s.T.Fatal(err)
	}
	key := s.Ring.Generate(s.T)
	above := Successor(f, s.Now)
	above.Delegations = withRole(above.Delegations, key, tuf.DelegatedRole{
		Name: role, KeyIDs: []string{key.ID()}, Threshold: 1, Paths: paths, Terminating: true,
	})
	return &repo.Submission{Collection: Collection, Files: map[string][]byte{
		parent: Signed(s.T, s.Ring, above, f.Signatures[0].KeyID).Bytes(),
		role:   Signed(s.T, s.Ring, s.start(), key.ID()).Bytes(),
	}}
}

// start is the first version of a role.
func (s *Scene) start() tuf.Targets {
	first := tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	first.Version, first.Publisher.Collection = 1, Collection
	first.Expires = s.Now.Add(100 * 24 * time.Hour)
	return first
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

// Successor is the content of the next version of a role.
func Successor(f *tuf.File[tuf.Targets], now time.Time) tuf.Targets {
	next := f.Signed
	next.Targets = maps.Clone(next.Targets)
	next.Version++
	next.Expires = now.Add(100 * 24 * time.Hour)
	next.Publisher.Parent = f.SHA256()
	return next
}

// View is the collection as a client with a fresh cache sees it.
func (s *Scene) View() *repo.View {
	s.T.Helper()
	l := &repo.Loader{Source: s.Store, Collection: Collection, Cache: cache{"root.json": s.Root}, Now: s.Now}
	v, err := l.Load(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	return v
}

// cache is a repo.Cache for one Load.
type cache map[string][]byte

func (c cache) Get(name string) ([]byte, error) {
	if data, ok := c[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (c cache) Put(name string, data []byte) error {
	c[name] = data
	return nil
}

func (c cache) Replace(name string, _, data []byte) (bool, error) { return true, c.Put(name, data) }

// Sum is the SHA-256 of a text, in hex.
func Sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}
