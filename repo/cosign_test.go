package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/storagetest"
)

// cosigning is a rotation in which one party asks another, with something done to
// what either sends.
type cosigning struct {
	keys   []string // whose the other party has of the new root's, by role; nil for both
	ask    func(w *world, s tuf.Snapshot) *tuf.File[tuf.Snapshot]
	answer func(w *world, snapshot, timestamp []byte) ([]byte, []byte, error)
}

// run returns what the rotation fails with.
func (c cosigning) run(t *testing.T) error {
	t.Helper()
	local := newWorld(t)
	local.mustPublish(add("a", "1"))
	online := local.party(forge.Ring{})
	keys := map[string]tuf.Key{}
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		keys[role] = online.ring.Generate(t)
	}
	if c.keys != nil {
		online.ring = forge.Ring{}
		for _, role := range c.keys {
			keys[role] = online.ring.Generate(t)
		}
	}
	committer := local.committer()
	committer.Cosign = func(ctx context.Context, root, draft []byte) ([]byte, []byte, error) {
		if c.ask != nil {
			draft = c.ask(local, parse[tuf.Snapshot](t, draft).Signed).Bytes()
		}
		snapshot, timestamp, err := online.committer().CosignFor(ctx, root, draft)
		if err == nil && c.answer != nil {
			return c.answer(online, snapshot, timestamp)
		}
		return snapshot, timestamp, err
	}
	p := local.publisher()
	var err error
	p.Commit = func(ctx context.Context, base *repo.View, sub *repo.Submission) (receipt *repo.Receipt, _ error) {
		if receipt, err = committer.Commit(ctx, base, sub); err != nil {
			return nil, errStop // or it would be tried again after a conflict
		}
		return receipt, nil
	}
	before := objects(t, local.store)
	if _, rotateErr := p.Rotate(t.Context(), to(keys, repo.DefaultGrace)); (rotateErr == nil) != (err == nil) {
		t.Errorf("rotate: %v, commit: %v", rotateErr, err)
	}
	if diff := cmp.Diff(before, objects(t, local.store)); err != nil && diff != "" {
		t.Errorf("something was written: %s", diff)
	}
	return err
}

var errStop = errors.New("stop")

func parse[T tuf.Content](t *testing.T, data []byte) *tuf.File[T] {
	t.Helper()
	f, err := tuf.Parse[T](data, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// asking is a draft with a change, that nobody has signed.
func asking(change func(*tuf.Snapshot)) cosigning {
	return cosigning{ask: func(w *world, s tuf.Snapshot) *tuf.File[tuf.Snapshot] {
		change(&s)
		return forge.Signed(w.t, w.ring, s)
	}}
}

// answering is a timestamp with a change, that the other party has signed.
func answering(change func(*tuf.Timestamp)) cosigning {
	return cosigning{answer: func(w *world, snapshot, timestamp []byte) ([]byte, []byte, error) {
		f := parse[tuf.Timestamp](w.t, timestamp)
		change(&f.Signed)
		return snapshot, forge.Signed(w.t, w.ring, f.Signed, signers(f.Signatures)...).Bytes(), nil
	}}
}

// TestCosignRefuses: neither party signs, or publishes, what the other has made
// up.
func TestCosignRefuses(t *testing.T) {
	if err := (cosigning{}).run(t); err != nil {
		t.Fatalf("nothing changed: %v", err)
	}
	for name, row := range map[string]struct {
		cosigning
		want string
	}{
		"a draft of another parent":       {asking(func(s *tuf.Snapshot) { s.Publisher.Parent = sum("x") }), "snapshot was published by somebody else"},
		"a draft of the published number": {asking(func(s *tuf.Snapshot) { s.Version-- }), "snapshot: version 1 does not follow 1"},
		"a draft far ahead":               {asking(func(s *tuf.Snapshot) { s.Version += 1000 }), "snapshot: version 1002 does not follow 1"},
		"a draft that says something else": {asking(func(s *tuf.Snapshot) {
			s.Meta = map[string]tuf.MetaFile{"targets.json": {Version: 7, Length: 1, Hashes: map[string]string{"sha256": sum("x")}}}
		}), "snapshot: it is not what follows from the published version"},
		"a draft for ever": {asking(func(s *tuf.Snapshot) { s.Expires = s.Expires.AddDate(1, 0, 0) }), "snapshot: it expires at"},
		"no answer": {cosigning{answer: func(*world, []byte, []byte) ([]byte, []byte, error) {
			return nil, nil, storagetest.ErrInjected
		}}, "ask for the other party's signatures: "},
		"a snapshot that is none": {cosigning{answer: func(_ *world, _, timestamp []byte) ([]byte, []byte, error) {
			return []byte("{}"), timestamp, nil
		}}, "the cosigned snapshot: "},
		"another snapshot": {cosigning{answer: func(w *world, snapshot, timestamp []byte) ([]byte, []byte, error) {
			s := parse[tuf.Snapshot](w.t, snapshot).Signed
			s.Version++
			return forge.Signed(w.t, w.ring, s).Bytes(), timestamp, nil
		}}, "the cosigned snapshot: it is not the one that was to be signed"},
		"a timestamp that is none": {cosigning{answer: func(_ *world, snapshot, _ []byte) ([]byte, []byte, error) {
			return snapshot, []byte("{}"), nil
		}}, "the cosigned timestamp: "},
		"a timestamp of another parent":        {answering(func(ts *tuf.Timestamp) { ts.Publisher.Parent = sum("x") }), "timestamp was published by somebody else"},
		"a timestamp that says something else": {answering(func(ts *tuf.Timestamp) { ts.Version++ }), "the cosigned timestamp: it is not what follows from the published version"},
		"a timestamp for ever":                 {answering(func(ts *tuf.Timestamp) { ts.Expires = ts.Expires.AddDate(1, 0, 0) }), "timestamp: it expires at"},
	} {
		if err := row.run(t); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, not %s", name, err, row.want)
		}
	}
}

// TestCosignWithoutKeys: who holds none of the keys of one of the roles says so,
// and does not hand out what nobody takes.
func TestCosignWithoutKeys(t *testing.T) {
	unsigned := asking(func(*tuf.Snapshot) {})
	for name, held := range map[string][]string{"nobody's": {}, "the timestamp's": {tuf.RoleTimestamp}, "the snapshot's": {tuf.RoleSnapshot}} {
		unsigned.keys = held
		if err := unsigned.run(t); !errors.Is(err, repo.ErrNoKey) {
			t.Errorf("with %s keys: %v", name, err)
		}
	}
}

// TestCosignOfNothing: there is nothing to cosign before the first publication.
func TestCosignOfNothing(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(time.Hour)
	if _, _, err := w.committer().CosignFor(t.Context(), w.root, []byte("{}")); !errors.Is(err, repo.ErrNotPublished) {
		t.Error(err)
	}
}
