package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
)

// flipped is a store behind which the last byte of some objects was changed, or
// the checksum that it keeps of them alone.
type flipped struct {
	*storage.Memory
	keys map[string]byte // what is added to the last byte
}

func flip(w *world, keys ...string) *flipped {
	f := &flipped{copyStore(w.t, w.store, w.committer().Now).(*storage.Memory), map[string]byte{}}
	for _, key := range keys {
		f.keys[key] = 1
	}
	return f
}

func (f *flipped) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := f.Memory.Get(ctx, key)
	by, ok := f.keys[key]
	if err != nil || !ok {
		return obj, err
	}
	data, err := io.ReadAll(obj.Body)
	if err != nil {
		return obj, err
	}
	data[len(data)-1] += by
	obj.Body = io.NopCloser(&damagedBody{*bytes.NewReader(data)})
	return obj, nil
}

type damagedBody struct{ bytes.Reader }

func (d *damagedBody) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err == io.EOF {
		err = storage.ErrDamaged
	}
	return n, err
}

// TestDamaged: a client and a publisher refuse what was changed behind the store,
// by its name.
func TestDamaged(t *testing.T) {
	w := family(t)
	w.rotate()
	w.mustPublish(in("ci", add("ci/x", "1")))
	v := w.view()
	for _, name := range []string{
		"2.root.json", "timestamp.json", repo.SlotName("snapshot", v.Snapshot.Signed.Version),
		repo.SlotName("targets", v.Snapshot.Signed.Meta["targets.json"].Version),
		repo.SlotName("ci", v.Snapshot.Signed.Meta["ci.json"].Version),
	} {
		for _, writer := range []bool{false, true} {
			err := w.with(t, flip(w, repo.MetadataDir(collection)+"/"+name), w.newCache()).load(writer)
			bad, ok := errors.AsType[*repo.VerifyError](err)
			if !ok || bad.File != name || !errors.Is(err, storage.ErrDamaged) {
				t.Errorf("%s, writer %v: %v, want a VerifyError of it", name, writer, err)
			}
		}
	}
}

// TestCheckDamaged: a Checker names all that was changed behind the store, once
// each, also what is listed in a file that was itself.
func TestCheckDamaged(t *testing.T) {
	w := family(t)
	w.mustPublish(add("dir/x", "xyz"), in("ci", add("ci/x", "1")))
	x, checksum := repo.TargetKey(collection, "dir/x", sum("xyz")), repo.TargetKey(collection, "ci/x", sum("1"))
	ci := repo.SlotName("ci", w.view().Snapshot.Signed.Meta["ci.json"].Version)
	metadata := repo.MetadataDir(collection) + "/"
	store := flip(w, x, metadata+"1.ci.deep.json")
	for _, key := range []string{checksum, metadata + "1.root.json", metadata + "timestamp.json", metadata + ci} {
		store.keys[key] = 0
	}
	const text = ": the store does not send what was stored there"
	want := []string{
		"metadata/1.ci.deep.json" + text,
		"metadata/1.root.json" + text,
		"metadata/" + ci + text,
		"metadata/timestamp.json" + text,
		"targets/ci/" + sum("1") + `.x: target "ci/x"` + text,
		"targets/dir/" + sum("xyz") + ".x: the content does not have the signed hash: sha256 is " + sum("xy{") + ", not " + sum("xyz"),
	}
	if diff := cmp.Diff(want, w.with(t, store, w.newCache()).check()); diff != "" {
		t.Error(diff)
	}
}

// TestInboxDamaged: what was changed in the inbox behind the store is refused, and
// put aside as it is; nothing waits for it to become whole.
func TestInboxDamaged(t *testing.T) {
	w := newWorld(t)
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := (repo.Inbox{Store: w.store, Collection: collection}).Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	manifest := repo.SubmissionKey(collection, submissionName)
	for _, key := range []string{manifest, repo.PartKey(collection, sum("{}"))} {
		box := repo.Inbox{Store: flip(w, key), Collection: collection}
		_, err := box.Submission(t.Context(), submissionName)
		if refused := new(*repo.Rejection); !errors.As(err, refused) {
			t.Errorf("%s: %v, want a Rejection", key, err)
		}
		if err := box.Quarantine(t.Context(), submissionName); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := storage.Stat(t.Context(), box.Store, repo.QuarantineKey(collection, submissionName)); err != nil {
			t.Error(err)
		}
	}
	receipt, err := repo.Answered(sub, nil, repo.ErrPublished)
	if err != nil {
		t.Fatal(err)
	}
	box := repo.Inbox{Store: w.store, Collection: collection}
	if _, err := box.Answer(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
	box.Store = flip(w, repo.ReceiptKey(collection, sub.ID()))
	if r, err := box.Receipt(t.Context(), sub.ID()); !errors.Is(err, repo.ErrReceipt) {
		t.Errorf("a receipt is read as %+v, %v", r, err)
	}
}

// TestMirrorDamaged: what was changed behind the store of a mirror is named, and
// copied anew once it is removed.
func TestMirrorDamaged(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "one"))
	old := w.newMemory()
	w.mustMirror(old)
	v := w.view()
	there := map[string]string{
		"timestamp": repo.TimestampKey(collection),
		"root":      repo.SlotKey(collection, "root", 1),
		"snapshot":  repo.SlotKey(collection, "snapshot", v.Snapshot.Signed.Version),
		"targets":   repo.SlotKey(collection, "targets", v.Snapshot.Signed.Meta["targets.json"].Version),
	}
	for name, key := range there {
		to := copyStore(t, old, w.committer().Now).(*storage.Memory)
		_, err := w.mirror(&flipped{to, map[string]byte{key: 1}})
		bad, ok := errors.AsType[*repo.DamagedError](err)
		if !ok || bad.Key != key || !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%s: %v, want a DamagedError of it", name, err)
		}
		info, err := to.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Delete(t.Context(), key, info.Version); err != nil {
			t.Fatal(err)
		}
		w.mustMirror(to)
		if diff := cmp.Diff(objects(t, old), objects(t, to)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
