package storagetest

import (
	"bytes"
	"context"
	"io"
	"path"
	"strings"
	"sync"
	"testing"

	"publisher/storage"
)

// Immutable returns s watched by a test, which fails as soon as an object other
// than a timestamp.json, or a note of the online signer's, is replaced by other
// bytes, or a numbered slot of metadata is deleted. It watches the writes that pass through it, failed
// writes included: those may have been applied.
func Immutable(t testing.TB, s storage.Store) storage.Store {
	return storage.Narrow(&watched{Store: s, w: &watch{t: t, store: s}}, s)
}

type watch struct {
	t     testing.TB
	store storage.Store
	seen  sync.Map // key → []byte, as first seen
}

// check compares the object with what it was when it was first seen.
func (w *watch) check(ctx context.Context, key string) {
	if path.Base(key) == "timestamp.json" || strings.HasPrefix(key, "_signer/") {
		return
	}
	// The test's own end of ctx must not hide a write that was applied.
	now, _, err := storage.Read(context.WithoutCancel(ctx), w.store, key, 1<<30)
	if err != nil {
		return
	}
	if old, seen := w.seen.LoadOrStore(key, now); seen && !bytes.Equal(old.([]byte), now) {
		w.t.Errorf("%s changed:\n was %.200q\n now %.200q", key, old, now)
	}
}

// isSlot reports whether key is a numbered metadata object, <n>.<role>.json.
func isSlot(key string) bool {
	ok, _ := path.Match("*[0-9].?*.json", path.Base(key))
	return ok && path.Base(path.Dir(key)) == "metadata"
}

type watched struct {
	storage.Store
	w *watch
}

func (s *watched) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	s.w.check(ctx, key)
	v, err := s.Store.Put(ctx, key, body, prev)
	s.w.check(ctx, key)
	return v, err
}

func (s *watched) Stat(ctx context.Context, key string) (storage.Info, error) {
	return s.Store.(storage.Stater).Stat(ctx, key)
}

func (s *watched) Delete(ctx context.Context, key string, prev storage.Version) error {
	if isSlot(key) {
		s.w.t.Errorf("slot %s is deleted", key)
	}
	s.w.seen.Delete(key)
	return s.Store.(storage.Deleter).Delete(ctx, key, prev)
}

func (s *watched) Batch() (storage.Store, func(context.Context) error, func()) {
	b, flush, discard := s.Store.(storage.Batcher).Batch()
	batch := &batched{watched: watched{b, s.w}}
	checked := func(ctx context.Context) error {
		err := flush(ctx)
		batch.keys.Range(func(key, _ any) bool { s.w.check(ctx, key.(string)); return true })
		return err
	}
	return storage.Narrow(batch, b), checked, discard
}

// A batched store's writes can be looked at only after the flush.
type batched struct {
	watched
	keys sync.Map
}

func (s *batched) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	s.w.check(ctx, key)
	s.keys.Store(key, true)
	return s.Store.Put(ctx, key, body, prev)
}
