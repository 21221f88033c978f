package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestCollectLosesMark: another run has finished what a slow one was about to
// remove, as far as it may, and somebody publishes again what is left. That stays:
// the mark that kept others from it is gone, or is another.
func TestCollectLosesMark(t *testing.T) {
	for name, mark := range map[string]string{"none": "", "another": `{"collection":"` + collection + `","keys":[]}`} {
		t.Run(name, func(t *testing.T) {
			w := newGarbageWorld(t)
			w.mustPublish(add("a", "one"))
			w.mustPublish(remove("a"), add("b", "two"))
			w.days(40)
			store := w.store
			slow, renewed, overtaken := w.collector(), false, false
			found, err := slow.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			slow.Renew = func(context.Context) error { renewed = true; _, err := w.refresh(true); return err }
			slow.Store = storagetest.NewFaults(store, func(r storagetest.Request) storagetest.Fault {
				if renewed && !overtaken && r.Method == "STAT" && r.Key == repo.GarbageKey(collection) {
					overtaken = true
					other := w.with(t, undeletable{store.(*storage.Memory), ".a"}, w.newCache())
					if n, _ := other.collect(); n == 0 { // it may not remove all
						t.Error("the other run has removed nothing")
					}
					w.mustPublish(add("a", "one"))
					if mark != "" {
						w.put(store, r.Key, mark)
					}
				}
				return storagetest.None
			}).Store()
			if n, err := slow.Remove(t.Context(), found); n != 0 || err != nil || !overtaken {
				t.Errorf("%d objects are gone, %v; it was overtaken: %t", n, err, overtaken)
			}
			if w.targets()["a"] != sum("one") {
				t.Error("a is not published")
			}
			w.mustBeClean()
		})
	}
}

// TestCollectCannotRewrite: whoever cannot write a mark anew that is there removes
// nothing.
func TestCollectCannotRewrite(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(40)
	c := w.collector()
	found, err := c.Find(t.Context())
	if err != nil || len(found) == 0 {
		t.Fatalf("%d objects are garbage, %v", len(found), err)
	}
	key := repo.GarbageKey(collection)
	w.put(w.store, key, `{"collection":"`+collection+`","keys":[]}`)
	c.Store = storagetest.NewFaults(c.Store, storagetest.OnPut(1, storagetest.Lost)).Store()
	if n, err := c.Remove(t.Context(), found); n != 0 || !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "write "+key+": ") {
		t.Errorf("%d objects are gone, %v", n, err)
	}
}
