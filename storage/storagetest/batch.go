package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"publisher/storage"
)

func batcher(t *testing.T, s storage.Store) storage.Batcher {
	t.Helper()
	b, ok := s.(storage.Batcher)
	if !ok {
		t.Skip("the store is no Batcher")
	}
	return b
}

func testBatch(t *testing.T, s storage.Store) {
	old := put(t, s, "old", "old", storage.Absent)
	b := batcher(t, s)

	dropped, _, discard := b.Batch()
	put(t, dropped, "dropped/k", "x", storage.Absent)
	put(t, dropped, "old", "x", old)
	checkList(t, s, "", "old")
	discard()
	checkList(t, s, "", "old")
	want(t, s, "old", "old", old)

	batch, flush, discard := b.Batch()
	defer discard()
	var keys []string
	for i := range 100 {
		key := fmt.Sprintf("batch/%02d/k", i)
		keys = append(keys, key)
		put(t, batch, key, key, storage.Absent)
	}
	v := put(t, batch, "old", "new", old)
	if err := flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkList(t, s, "", append(keys, "old")...)
	want(t, s, "old", "new", v)
	for _, key := range keys {
		if data, _ := read(t, s, key); data != key {
			t.Errorf("%s holds %q", key, data)
		}
	}
	discard()
	checkList(t, s, "", append(keys, "old")...)
}

// testBatchConflict: a batch loses to whoever was faster, and keeps the rest.
func testBatchConflict(t *testing.T, s storage.Store) {
	b := batcher(t, s)
	before := put(t, s, "before", "theirs", storage.Absent)
	stale := put(t, s, "stale", "one", storage.Absent)
	batch, flush, discard := b.Batch()
	defer discard()
	var errs []error
	try := func(key string, prev storage.Version) {
		_, err := batch.Put(t.Context(), key, strings.NewReader("mine"), prev)
		errs = append(errs, err)
	}
	try("before", storage.Absent)
	try("during", storage.Absent)
	try("stale", stale)
	try("mine", storage.Absent)
	during := put(t, s, "during", "theirs", storage.Absent)
	now := put(t, s, "stale", "two", stale)
	errs = append(errs, flush(t.Context()))
	if err := errors.Join(errs...); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a batch over others' objects: %v, want ErrConflict", err)
	}
	want(t, s, "before", "theirs", before)
	want(t, s, "during", "theirs", during)
	want(t, s, "stale", "two", now)
	if data, _ := read(t, s, "mine"); data != "mine" {
		t.Errorf("the part of a batch without a conflict holds %q", data)
	}
}

func testBatchCorrupt(t *testing.T, s storage.Store) {
	b := batcher(t, s)
	for name, body := range corruptions(1000) {
		batch, flush, discard := b.Batch()
		_, err := batch.Put(t.Context(), "k", body, storage.Absent)
		if err = errors.Join(err, flush(t.Context())); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		discard()
	}
	checkList(t, s, "")
}
