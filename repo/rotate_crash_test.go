package repo_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// A turn is one rotation of a collection that has seen several, and who does it.
type turn struct {
	owner, signer forge.Ring // signer is nil if the owner has all keys
	rotation      repo.Rotation
	delegation    *repo.Change // in place of the rotation
}

// rotations is every way to rotate, or in a short run every eighth. Each of its
// operations is for one scene.
func rotations() []operation {
	all := []operation{
		rotating("root", func(w *world, t *turn) { t.rotation.Roles["root"] = w.signers(1, 1) }),
		rotating("root to two of three", func(w *world, t *turn) { t.rotation.Roles["root"] = w.signers(3, 2) }),
		rotating("targets", func(w *world, t *turn) { t.rotation.Roles["targets"] = w.signers(1, 1) }),
		rotating("snapshot", func(w *world, t *turn) { t.rotation.Roles["snapshot"] = w.signers(1, 1) }),
		rotating("timestamp", func(w *world, t *turn) { t.rotation.Roles["timestamp"] = w.signers(2, 2) }),
		rotating("everything", func(w *world, t *turn) {
			for _, role := range tuf.TopLevel {
				t.rotation.Roles[role] = w.signers(1, 1)
			}
		}),
		rotating("a longer life", func(w *world, t *turn) {
			t.rotation.Lifetimes = repo.Lifetimes{tuf.RoleRoot: 3 * repo.DefaultLifetimes()[tuf.RoleRoot]}
		}),
		rotating("to the signer", func(w *world, t *turn) {
			t.rotation.Roles = to(online(w.t, w.ring), 0).Roles
			t.share(func(id string) bool {
				return id == t.rotation.Roles[tuf.RoleSnapshot].Keys[0].ID() || id == t.rotation.Roles[tuf.RoleTimestamp].Keys[0].ID()
			})
		}),
		rotating("from the signer", func(w *world, t *turn) {
			now := w.view().Root().Signed
			t.share(func(id string) bool {
				return slices.Contains(now.Roles[tuf.RoleSnapshot].KeyIDs, id) || slices.Contains(now.Roles[tuf.RoleTimestamp].KeyIDs, id)
			})
			t.rotation.Roles = to(online(w.t, w.ring), 0).Roles
			for _, signers := range t.rotation.Roles {
				id := signers.Keys[0].ID()
				t.owner[id] = w.ring[id]
			}
		}),
		rotating("targets, whose key is lost", func(w *world, t *turn) {
			t.lose(w, tuf.RoleTargets)
			t.rotation.Roles["targets"] = w.signers(1, 1)
		}),
		rotating("snapshot and timestamp, whose keys are lost", func(w *world, t *turn) {
			t.lose(w, tuf.RoleSnapshot)
			t.lose(w, tuf.RoleTimestamp)
			t.rotation.Roles = to(online(w.t, w.ring), 0).Roles
		}),
		rotating("timestamp and snapshot, to recover", func(w *world, t *turn) {
			w.abuseTimestamp()
			w.window = true // for those who saw it
			t.rotation = recovery(w.t, w.ring)
			t.rotation.After = 4
		}),
		rotating("timestamp and snapshot, whose keys are lost, to recover", func(w *world, t *turn) {
			recovery := recovery(w.t, w.ring)
			w.abuseTimestamp()
			t.lose(w, tuf.RoleSnapshot)
			t.lose(w, tuf.RoleTimestamp)
			t.rotation.Roles, t.rotation.Recover = recovery.Roles, true
		}),
		rotating("a delegation", func(w *world, t *turn) {
			key := w.delegation("ci")
			t.delegation = &repo.Change{Action: repo.Add, Type: repo.TypeDelegation, Role: "ci", Delegation: &repo.DelegationChange{
				Keys: w.signers(1, 1).Keys, RemoveKeys: []string{key},
			}}
		}),
		rotating("a delegation below a delegation", func(w *world, t *turn) {
			w.delegation("ci")
			key := w.delegation("ci.deep")
			t.delegation = &repo.Change{Action: repo.Add, Type: repo.TypeDelegation, Role: "ci.deep", Delegation: &repo.DelegationChange{
				Keys: w.signers(2, 2).Keys, RemoveKeys: []string{key}, Threshold: 2,
			}}
		}),
	}
	if !testing.Short() {
		return all
	}
	var some []operation
	for i := 2; i < len(all); i += 8 {
		some = append(some, all[i])
	}
	return some
}

// rotating is an operation that rotates a collection with three rotations behind
// it, and a client that saw none of them.
func rotating(name string, decide func(*world, *turn)) operation {
	var t turn
	return operation{name: "rotate " + name, prepare: func(w *world) {
		w.mustPublish(add("a", "1"), add("b", "2"))
		w.early = newStockClient(w.t, w.root)
		if _, err := w.early.pull(w.t.Context(), w.store, w.now, everyName); err != nil {
			w.t.Fatal(err)
		}
		for _, role := range []string{tuf.RoleTargets, tuf.RoleTimestamp, tuf.RoleRoot} {
			w.mustRotate(repo.Rotation{Roles: map[string]repo.Signers{role: w.signers(1, 1)}, Grace: repo.DefaultGrace})
		}
		t = turn{owner: w.ring, rotation: repo.Rotation{Roles: map[string]repo.Signers{}, Grace: repo.DefaultGrace, After: 4}}
		pass(2*repo.DefaultGrace, w)
		w.mustPublish(add("a", "one"))
		decide(w, &t)
	}, run: func(w *world) error { return t.run(w) }}
}

// signers is new keys of the ring.
func (w *world) signers(n int, threshold int64) repo.Signers {
	s := repo.Signers{Threshold: threshold}
	for range n {
		s.Keys = append(s.Keys, w.ring.Generate(w.t))
	}
	return s
}

func (w *world) mustRotate(r repo.Rotation) {
	w.t.Helper()
	if _, err := w.publisher().Rotate(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// share leaves some of the keys to a signer, and the owner without them.
func (t *turn) share(signers func(id string) bool) {
	all := t.owner
	t.owner, t.signer = forge.Ring{}, forge.Ring{}
	for id, key := range all {
		if signers(id) {
			t.signer[id] = key
		} else {
			t.owner[id] = key
		}
	}
}

// delegation makes a role with a target, and returns the ID of its key.
func (w *world) delegation(role string) (keyID string) {
	w.t.Helper()
	key := w.signers(1, 1).Keys
	w.mustPublish(repo.Change{Action: repo.Add, Type: repo.TypeDelegation, Role: role, Delegation: &repo.DelegationChange{
		Keys: key, Paths: []string{"ci/*"},
	}})
	w.mustPublish(in(role, add("ci/x", role)))
	return key[0].ID()
}

// lose forgets the keys of a role.
func (t *turn) lose(w *world, role string) {
	t.rotation.OldKeyLost, w.window = true, true
	for _, id := range w.view().Root().Signed.Roles[role].KeyIDs {
		delete(w.ring, id)
	}
}

// run is the owner's command.
func (t *turn) run(w *world) error {
	mine := *w
	mine.ring = t.owner
	c := mine.committer()
	if t.signer != nil {
		theirs := *w
		theirs.ring, theirs.cache = t.signer, w.newCache()
		c.Cosign = theirs.committer().CosignFor
	}
	p := mine.publisher()
	p.Commit = c.Commit
	if t.delegation != nil {
		_, err := p.Publish(w.t.Context(), []repo.Change{*t.delegation})
		return err
	}
	_, err := p.Rotate(w.t.Context(), t.rotation)
	return err
}

// TestRotationCrash breaks every request of every rotation in every way. All
// clients go on, and the same command completes it.
func TestRotationCrash(t *testing.T) {
	t.Parallel()
	faults := map[string][]storagetest.Fault{
		"PUT": {storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain, storagetest.Killed},
		"GET": {storagetest.Lost}, "STAT": {storagetest.Lost},
	}
	for _, op := range rotations() {
		s := newScene(t, op)
		for method, all := range faults {
			for n := range s.requests(t, method) {
				for _, fault := range all {
					t.Run(fmt.Sprintf("%s/%s %d %v", op.name, method, n+1, fault), func(t *testing.T) {
						err := s.checkCrash(t, func(inner storage.Store) storage.Store {
							return storagetest.NewFaults(inner, onNth(method, n+1, fault)).Store()
						})
						if fault == storagetest.Killed && err == nil || fault == storagetest.Lost && !errors.Is(err, storagetest.ErrInjected) {
							t.Errorf("the operation ended with %v", err)
						}
					})
				}
			}
		}
	}
}

// TestRotationBesideRefresh has somebody else refresh before each request of a
// rotation, which then goes through, or crashes there.
func TestRotationBesideRefresh(t *testing.T) {
	t.Parallel()
	for _, op := range rotations() {
		s := newScene(t, op)
		for n := range s.requests(t, "PUT") {
			for _, fault := range []storagetest.Fault{storagetest.None, storagetest.Lost, storagetest.Killed} {
				t.Run(fmt.Sprintf("%s/%d %v", op.name, n+1, fault), func(t *testing.T) {
					refreshed := false
					err := s.checkCrash(t, func(inner storage.Store) storage.Store {
						other := s.with(t, inner, s.newCache())
						return storagetest.NewFaults(inner, func(r storagetest.Request) storagetest.Fault {
							if r.Method != "PUT" || r.Nth != n+1 || refreshed {
								return storagetest.None
							}
							refreshed = true
							s.refreshBeside(t, other)
							return fault
						}).Store()
					})
					if fault == storagetest.None && err != nil {
						t.Errorf("the rotation ended with %v", err)
					}
				})
			}
		}
	}
}

// refreshBeside refreshes with all keys, old and new. In the window of a lost key
// nobody else may be able to.
func (s *scene) refreshBeside(t *testing.T, other *world) {
	t.Helper()
	if _, err := other.refresh(true); err != nil && !s.window {
		t.Errorf("refresh: %v", err)
	}
}

// TestRefreshBesideRotation has a rotation go through before each request of a
// refresh: what the refresh made of what it read before must not be published.
func TestRefreshBesideRotation(t *testing.T) {
	t.Parallel()
	for _, op := range rotations() {
		s := newScene(t, op)
		for _, method := range []string{"GET", "PUT"} {
			for n := range 6 {
				t.Run(fmt.Sprintf("%s/%s %d", op.name, method, n+1), func(t *testing.T) {
					rotated := false
					w := s.process(t, func(inner storage.Store) storage.Store {
						other := s.with(t, inner, s.cache.clone())
						return storagetest.NewFaults(inner, func(r storagetest.Request) storagetest.Fault {
							if r.Method == method && r.Nth == n+1 && !rotated {
								rotated = true
								if err := s.run(other); err != nil {
									t.Errorf("rotate: %v", err)
								}
							}
							return storagetest.None
						}).Store()
					})
					if _, err := w.refresh(true); err != nil && !s.window {
						t.Errorf("refresh: %v", err)
					}
					if rotated {
						s.checkClients(t, w, true)
						w.mustBeClean()
					}
				})
			}
		}
	}
}
