package repo_test

import (
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/storage/storagetest"
)

// A forger offers forged submissions to a committer.
type forger struct {
	*world
	*forge.Forge
}

type object = forge.Object

// scene is the collection as package forge sees it.
func (w *world) scene() forge.Scene {
	return forge.Scene{T: w.t, Store: w.store, Root: w.root, Ring: w.ring, Now: w.now}
}

// newForge works on a copy of what w, a family, has published.
func newForge(t *testing.T, w *world) *forger {
	t.Helper()
	mine := w.with(t, nil, w.newCache())
	mine.store = copyStore(t, w.store, func() time.Time { return mine.now })
	return &forger{mine, forge.New(mine.scene())}
}

// commit offers the submission to a store that has its targets, and returns
// what the store had before and after.
func (f *forger) commit() (before, after map[string]string, err error) {
	f.t.Helper()
	f.Upload()
	before = objects(f.t, f.store)
	f.store = storagetest.Immutable(f.t, f.store)
	_, err = f.committer().Commit(f.t.Context(), nil, f.Submission())
	return before, objects(f.t, f.store), err
}
