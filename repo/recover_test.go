package repo_test

import (
	"context"
	"errors"
	"testing"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
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
