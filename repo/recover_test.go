package repo_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// highest is the highest version that clients can read.
const highest = 1<<53 - 1

// abuseTimestamp has a thief announce the highest version of timestamp.
func (w *world) abuseTimestamp() {
	w.t.Helper()
	v := w.view()
	ts := v.Timestamp.Signed
	ts.Version = highest
	w.overwrite("timestamp.json", forge.Signed(w.t, w.ring, ts, v.Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs...).Bytes())
}

// abuseBoth has a thief of both keys announce the highest version of everything,
// some of it not even there.
func (w *world) abuseBoth() {
	w.t.Helper()
	v := w.view()
	s := v.Snapshot.Signed
	s.Version = highest
	s.Meta = map[string]tuf.MetaFile{"targets.json": {Version: highest, Length: 1, Hashes: map[string]string{"sha256": sum("x")}}}
	snapshot := forge.Signed(w.t, w.ring, s, v.Root().Signed.Roles[tuf.RoleSnapshot].KeyIDs...)
	ts := v.Timestamp.Signed
	ts.Version = highest
	ts.Meta = map[string]tuf.MetaFile{"snapshot.json": snapshot.Meta()}
	timestamp := forge.Signed(w.t, w.ring, ts, v.Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs...)
	w.overwrite(repo.SlotName(tuf.RoleSnapshot, highest), snapshot.Bytes())
	w.overwrite("timestamp.json", timestamp.Bytes())
}

// recovery replaces both online keys by new ones of the ring.
func recovery(t *testing.T, ring forge.Ring) repo.Rotation {
	r := to(online(t, ring), repo.DefaultGrace)
	r.Recover = true
	return r
}

// TestRecover: clients that saw what the thief announced go on, and so does who
// publishes, with versions that follow the honest ones.
func TestRecover(t *testing.T) {
	for name, abuse := range map[string]func(*world){"timestamp": (*world).abuseTimestamp, "both": (*world).abuseBoth} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustPublish(add("a", "1"))
			w.mustPublish(add("a", "2"))
			before := newStockClient(t, w.root)
			if _, err := before.pull(t.Context(), w.store, w.now, everyName); err != nil {
				t.Fatal(err)
			}
			saw := before.clone(t)
			abuse(w)
			_, abused := saw.pull(t.Context(), w.store, w.now, everyName)
			if name == "both" && abused == nil {
				t.Error("what a thief announced, and is not there, was pulled")
			}
			// To go on from there would end in a version that no client can read.
			if _, err := w.refresh(true); name == "timestamp" && !errors.Is(err, repo.ErrLastVersion) {
				t.Errorf("refresh: %v", err)
			}
			ours := memoryCache{"root.json": w.root}
			_ = w.with(t, w.store, ours).load(false) // it may fail; what it has seen stays

			w.mustRotate(recovery(t, w.ring))
			for who, client := range map[string]*stockClient{"saw it": saw, "pulled before": before, "fresh": {root: w.root}} {
				if _, err := client.pull(t.Context(), w.store, w.now, everyName); err != nil {
					t.Errorf("a client that %s: %v", who, err)
				}
			}
			v := w.loaded(ours)
			if n := v.Timestamp.Signed.Version; n <= 3 || n > 1_000_000 || v.Snapshot.Signed.Version != 3 {
				t.Errorf("timestamp %d, snapshot %d", v.Timestamp.Signed.Version, v.Snapshot.Signed.Version)
			}
			w.mustPublish(add("b", "1"))
			w.mustServe(2)
			w.mustBeClean()
		})
	}
}

// TestRecoverOnline: the same where a signer has the keys, which also remembers
// what it has seen.
func TestRecoverOnline(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.abuseBoth()
	signer := w.party(w.ring)
	_ = signer.load(true)
	p := w.publisher()
	p.Keys = forge.Ring{w.view().Root().Signed.Roles[tuf.RoleRoot].KeyIDs[0]: w.ring[w.view().Root().Signed.Roles[tuf.RoleRoot].KeyIDs[0]]}
	p.Commit = func(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		return signer.committer().Commit(ctx, nil, sub)
	}
	if _, err := p.Rotate(t.Context(), recovery(t, w.ring)); err != nil {
		t.Fatal(err)
	}
	w.mustServe(2)
	if _, err := signer.committer().Refresh(t.Context(), true); err != nil {
		t.Error(err)
	}
	w.mustBeClean()
}

// TestRecoverBegun: a recovery whose root had to come first, because the old keys
// are lost too, is interrupted there. Whoever writes next goes on from where that
// root says, and not from what the thief announced.
func TestRecoverBegun(t *testing.T) {
	for abused, abuse := range map[string]func(*world){"timestamp": (*world).abuseTimestamp, "both": (*world).abuseBoth} {
		for who, goOn := range map[string]func(w *world, r repo.Rotation) error{
			"the same command": func(w *world, r repo.Rotation) error {
				_, err := w.publisher().Rotate(w.t.Context(), r)
				return err
			},
			"a publish": func(w *world, _ repo.Rotation) error {
				_, err := w.publish(add("b", "1"))
				return err
			},
			"a refresh": func(w *world, _ repo.Rotation) error {
				_, err := w.refresh(true)
				return err
			},
		} {
			t.Run(abused+"/"+who, func(t *testing.T) {
				w := newWorld(t)
				w.mustPublish(add("a", "1"))
				seen := w.newCache()
				abuse(w)
				_ = w.with(t, w.store, seen).load(true) // it may fail; what it has seen stays
				r := w.beginLost(recovery(t, w.ring))
				next := w.with(t, w.store, seen)
				if err := goOn(next, r); err != nil {
					t.Fatal(err)
				}
				v := w.view()
				want := v.Root().Signed.Publisher.Restart
				got := map[string]int64{tuf.RoleTimestamp: v.Timestamp.Signed.Version, tuf.RoleSnapshot: v.Snapshot.Signed.Version}
				if diff := cmp.Diff(want, got); diff != "" || len(want) != 2 {
					t.Errorf("gone on from other versions than the root says: %s", diff)
				}
				if done, err := r.Done(t.Context(), v); !done || err != nil {
					t.Errorf("done: %v, %v", done, err)
				}
				// It is over: versions go on from there, also where they are seen afresh.
				w.mustPublish(add("c", "1"))
				if n := w.view().Timestamp.Signed.Version; n != got[tuf.RoleTimestamp]+1 {
					t.Errorf("the next timestamp is %d", n)
				}
				w.mustServe(2)
				w.mustBeClean()
			})
		}
	}
}

// A recovery in which a version of ours is at stake, or that somebody else wants.
func TestRecoverRefused(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(w *world, r *tuf.Root)
		says string
	}{
		{"one key stays", func(w *world, r *tuf.Root) {
			r.Roles[tuf.RoleSnapshot] = w.view().Root().Signed.Roles[tuf.RoleSnapshot]
			id := r.Roles[tuf.RoleSnapshot].KeyIDs[0]
			r.Keys[id] = w.view().Root().Signed.Keys[id]
		}, "only where all keys of snapshot and timestamp are new"},
		{"of targets", func(_ *world, r *tuf.Root) { r.Publisher.Restart["targets"] = 1 }, "the versions of targets do not fall"},
		{"from 0", func(_ *world, r *tuf.Root) { r.Publisher.Restart["timestamp"] = 0 }, "cannot go on from version 0"},
		{"from the end", func(_ *world, r *tuf.Root) { r.Publisher.Restart["snapshot"] = highest }, "cannot go on from version"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.mustPublish(add("a", "1"))
			p := w.publisher()
			p.Commit = func(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
				root, err := tuf.Parse[tuf.Root](sub.Files[tuf.RoleRoot], repo.MaxRoot)
				if err != nil {
					t.Fatal(err)
				}
				row.edit(w, &root.Signed)
				by := root.Signed.Roles[tuf.RoleRoot].KeyIDs
				sub.Files[tuf.RoleRoot] = forge.Signed(t, w.ring, root.Signed, by...).Bytes()
				return w.committer().Commit(ctx, nil, sub)
			}
			_, err := p.Rotate(t.Context(), recovery(t, w.ring))
			wantRejection(t, err, row.says)
			w.mustPublish(add("after", "1"))
		})
	}
}

// TestRecoverFrom: what a thief has put into the store is passed over, whatever it
// is, for the last snapshot that is whole.
func TestRecoverFrom(t *testing.T) {
	for name, leave := range map[string]func(w *world) *tuf.File[tuf.Snapshot]{
		"a version that none follows": func(w *world) *tuf.File[tuf.Snapshot] {
			s := w.view().Snapshot.Signed
			s.Version = highest
			return w.stolen(s)
		},
		"a role with a version that none follows": func(w *world) *tuf.File[tuf.Snapshot] {
			targets := w.targetsFile().Signed
			targets.Version = 1 << 40
			f := forge.Signed(w.t, w.ring, targets, w.view().Root().Signed.Roles[tuf.RoleTargets].KeyIDs...)
			w.overwrite(repo.SlotName(tuf.RoleTargets, 1<<40), f.Bytes())
			s := w.view().Snapshot.Signed
			s.Version++
			s.Meta = map[string]tuf.MetaFile{"targets.json": f.Meta()}
			return w.stolen(s)
		},
		"a role that is not there": func(w *world) *tuf.File[tuf.Snapshot] {
			s := w.view().Snapshot.Signed
			s.Version++
			s.Meta = map[string]tuf.MetaFile{"targets.json": {Version: 7, Length: 1, Hashes: map[string]string{"sha256": sum("x")}}}
			return w.stolen(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustPublish(add("a", "1"))
			earlier := w.view().Snapshot
			w.mustPublish(add("a", "2"))
			good := w.view().Snapshot
			// Below what is published lies what others have left.
			other := good.Signed
			other.Version = 40
			unsigned := forge.Signed(t, w.ring, other, w.ring.Generate(t).ID())
			w.overwrite("30.snapshot.json", []byte("junk"))
			w.overwrite("31.snapshot.json", earlier.Bytes()) // it says another version
			w.overwrite("40.snapshot.json", unsigned.Bytes())
			w.announce(leave(w))

			l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now, IgnoreExpiry: true, TimestampFirst: true, Recover: true}
			v, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v.Snapshot.SHA256() != good.SHA256() {
				t.Errorf("gone on from snapshot %d, not %d", v.Snapshot.Signed.Version, good.Signed.Version)
			}
			w.mustRotate(recovery(t, w.ring))
			w.mustServe(2)
			w.mustPublish(add("b", "1"))
		})
	}
}

// stolen is a snapshot by the key in force.
func (w *world) stolen(s tuf.Snapshot) *tuf.File[tuf.Snapshot] {
	w.t.Helper()
	f := forge.Signed(w.t, w.ring, s, w.view().Root().Signed.Roles[tuf.RoleSnapshot].KeyIDs...)
	w.overwrite(repo.SlotName(tuf.RoleSnapshot, s.Version), f.Bytes())
	return f
}

// announce has a thief of the timestamp key point at a snapshot.
func (w *world) announce(s *tuf.File[tuf.Snapshot]) {
	w.t.Helper()
	v := w.view()
	ts := v.Timestamp.Signed
	ts.Version++
	ts.Meta = map[string]tuf.MetaFile{"snapshot.json": s.Meta()}
	w.overwrite("timestamp.json", forge.Signed(w.t, w.ring, ts, v.Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs...).Bytes())
}

// A store that does not answer says nothing about its snapshots.
func TestRecoverFromNothing(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.abuseBoth()
	w.store = storagetest.NewFaults(w.store, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "LIST" {
			return storagetest.Lost
		}
		return storagetest.None
	}).Store()
	if _, err := w.publisher().Rotate(t.Context(), recovery(t, w.ring)); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("with a store that cannot be listed: %v", err)
	}
}

// A first root has nothing to recover from.
func TestRecoverFirst(t *testing.T) {
	w := newWorld(t)
	root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	root.Signed.Publisher.Restart = map[string]int64{tuf.RoleSnapshot: 5}
	w.root = forge.Signed(t, w.ring, root.Signed, root.Signed.Roles[tuf.RoleRoot].KeyIDs...).Bytes()
	w.cache = w.newCache()
	_, err = w.publish(add("a", "1"))
	wantRejection(t, err, "nothing to recover from")
}

// TestRecoverReplayed: a submission to which somebody adds the root of a recovery
// that is over does not have the signer pass over what it has seen since.
func TestRecoverReplayed(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.mustRotate(recovery(t, w.ring))
	w.now = w.now.Add(2 * time.Hour) // the grace is over
	w.mustPublish(add("b", "1"))
	yesterday := objects(t, w.store)[repo.TimestampKey(collection)]
	w.mustPublish(add("c", "1"))
	signer := w.party(w.ring)
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: signer.cache, Now: w.now}
	if _, err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.overwrite("timestamp.json", []byte(yesterday))

	p := w.publisher()
	p.Cache = w.newCache()
	p.Commit = func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		sub.Files[tuf.RoleRoot] = base.Root().Bytes()
		return signer.committer().Commit(ctx, nil, sub)
	}
	var tampered *repo.VerifyError
	if _, err := p.Publish(t.Context(), []repo.Change{add("d", "1")}); !errors.As(err, &tampered) {
		t.Errorf("a rollback was gone on from: %v", err)
	}
}

// TestRecoverPinned: who recovers is held to the pin, too.
func TestRecoverPinned(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	l := &repo.Loader{
		Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now, IgnoreExpiry: true, TimestampFirst: true,
		Recover: true, Pin: &repo.Pin{Roots: []string{sum("another")}},
	}
	var pinned *repo.PinError
	if _, err := l.Load(t.Context()); !errors.As(err, &pinned) {
		t.Errorf("%v", err)
	}
}

// TestRecoverGone: who recovers does not take a collection for a new one that it
// has seen published.
func TestRecoverGone(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	ours := w.newCache()
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: ours, Now: w.now, IgnoreExpiry: true, TimestampFirst: true, Recover: true}
	if _, err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Source = storage.NewMemory()
	var tampered *repo.VerifyError
	if _, err := l.Load(t.Context()); !errors.As(err, &tampered) {
		t.Errorf("%v", err)
	}
}

// beginLost has a rotation of a first root, whose old keys are lost, interrupted
// behind the new one.
func (w *world) beginLost(r repo.Rotation) repo.Rotation {
	w.t.Helper()
	before, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		w.t.Fatal(err)
	}
	r.OldKeyLost, r.After = true, 1
	for role := range r.Roles {
		delete(w.ring, before.Signed.Roles[role].KeyIDs[0])
	}
	whole := w.store
	w.store = storagetest.NewFaults(whole, func(r storagetest.Request) storagetest.Fault {
		if role, _, ok := repo.ParseSlot(path.Base(r.Key)); ok && role == tuf.RoleRoot && r.Method == "PUT" {
			return storagetest.Killed
		}
		return storagetest.None
	}).Store()
	if _, err := w.publisher().Rotate(w.t.Context(), r); err == nil {
		w.t.Fatal("it was not interrupted")
	}
	w.store = whole
	return r
}

// TestRecoverOver: what was seen before counts for nothing only in a recovery that
// has begun and is not over.
func TestRecoverOver(t *testing.T) {
	for name, row := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"it is over": {func(w *world) {
			w.beginLost(recovery(w.t, w.ring))
			w.mustPublish(add("b", "1"))
			yesterday := objects(w.t, w.store)[repo.TimestampKey(collection)]
			w.mustPublish(add("c", "1"))
			w.overwrite("timestamp.json", []byte(yesterday))
		}, "verify timestamp.json: version 3, but version 4 was there before"},
		"what has begun is no recovery": {func(w *world) {
			yesterday := objects(w.t, w.store)[repo.TimestampKey(collection)]
			w.mustPublish(add("b", "1"))
			w.beginLost(to(map[string]tuf.Key{tuf.RoleTimestamp: w.ring.Generate(w.t)}, repo.DefaultGrace))
			w.overwrite("timestamp.json", []byte(yesterday))
		}, "verify 2.snapshot.json: targets.json is listed with version 2, but version 3 was there before"},
		"what it began with is no timestamp": {func(w *world) {
			w.beginLost(recovery(w.t, w.ring))
			w.overwrite("timestamp.json", []byte("{}"))
		}, "verify timestamp.json: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustPublish(add("a", "1"))
			w.mustPublish(add("a", "2"))
			row.change(w)
			err := w.load(true)
			if !errors.As(err, new(*repo.VerifyError)) || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("%v, not %s", err, row.want)
			}
		})
	}
}

// TestRecoverNothingWhole: without one snapshot that is whole there is nothing to
// go on from.
func TestRecoverNothingWhole(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.abuseBoth()
	w.store = copyStore(t, w.store, func() time.Time { return w.now })
	w.overwrite("1.snapshot.json", []byte("junk"))
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now, IgnoreExpiry: true, TimestampFirst: true, Recover: true}
	_, err := l.Load(t.Context())
	if !errors.As(err, new(*repo.VerifyError)) || !strings.HasPrefix(err.Error(), "no snapshot in the store is whole: verify ") {
		t.Error(err)
	}
}

// TestRecoverReader: that a recovery has begun is nothing to those who only read:
// a root that has expired is that before anything behind it is looked at.
func TestRecoverReader(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.beginLost(recovery(t, w.ring))
	wantRefused(t, "a reader", w.load(false), "verify timestamp.json: ")
	w.now = w.now.AddDate(20, 0, 0)
	var expired *repo.ExpiredError
	if err := w.load(false); !errors.As(err, &expired) || expired.Role != tuf.RoleRoot {
		t.Errorf("with a root that has expired: %v", err)
	}
}
