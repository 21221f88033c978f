package lambda_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"publisher/repo"
	"publisher/storage"
)

// erase deletes the collection as its owner does.
func (w *world) erase() {
	w.t.Helper()
	e := &repo.Eraser{Store: w.public, Inbox: w.private, Collection: scripts}
	if _, err := e.Erase(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// gone fails unless nothing of the collection is published.
func (w *world) gone() {
	w.t.Helper()
	for e, err := range w.public.List(w.t.Context(), scripts+"/") {
		w.t.Errorf("%s is there: %v", e.Key, err)
	}
}

// unordered is a world whose stores may lose slots.
func unordered(t *testing.T) *world {
	w := newWorld(t)
	w.public, w.private = w.newStore(), w.newStore()
	w.restart()
	w.owner = w.newOwner(scripts)
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	return w
}

// TestDeleted: a collection that was deleted stays so, whatever is due, was
// pending or comes late; its owner can make another of that name, with the same
// signer, which has seen the old one.
func TestDeleted(t *testing.T) {
	w := unordered(t)
	w.leave("b", "2")
	w.erase()
	for range 2 {
		w.now = w.now.Add(60 * 24 * time.Hour) // everything was due
		c := w.counts(`{"action":"refresh"}`)
		if c.Refreshed > 0 || c.Failed > 0 {
			t.Errorf("refreshed after it was deleted: %+v", c)
		}
		w.gone()
		w.restart()
	}
	for _, remembers := range []bool{true, false} {
		if !remembers {
			w.restart()
		}
		w.owner = w.newOwner(scripts)
		if err := w.owner.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.publish("c", "3")
		w.erase()
		w.gone()
	}
}

// deleting is a public store whose timestamp.json goes, once armed, when it has
// just been read: a refresh is about to write.
type deleting struct {
	*storage.Memory
	t     *testing.T
	armed bool
}

func (d *deleting) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := d.Memory.Get(ctx, key)
	if key == repo.TimestampKey(scripts) && d.armed && err == nil {
		d.armed = false
		if err := d.Memory.Delete(ctx, key, obj.Version); err != nil {
			d.t.Error(err)
		}
	}
	return obj, err
}

// TestDeletedMeanwhile: the compare-and-swap keeps a refresh that was at work
// from bringing timestamp.json back.
func TestDeletedMeanwhile(t *testing.T) {
	for _, remembers := range []bool{true, false} {
		w := unordered(t)
		d := &deleting{Memory: w.public.(*storage.Memory), t: t}
		w.public = d
		w.restart()
		w.now = w.now.Add(10 * 24 * time.Hour)
		if c := w.counts(`{"action":"refresh"}`); c.Refreshed != 1 {
			t.Fatalf("nothing was due: %+v", c)
		}
		if !remembers {
			w.restart()
		}
		w.now = w.now.Add(10 * 24 * time.Hour)
		d.armed = true
		_, _ = w.handle(`{"action":"refresh"}`) // that it fails is right
		if _, err := d.Stat(t.Context(), repo.TimestampKey(scripts)); !errors.Is(err, fs.ErrNotExist) || d.armed {
			t.Errorf("remembers %v: timestamp.json is back: %v", remembers, err)
		}
		w.erase()
		w.gone()
	}
}
