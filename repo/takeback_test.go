package repo_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestTakeBack: a submission goes with its parts, but for those that another one
// waits with.
func TestTakeBack(t *testing.T) {
	store := storage.NewMemory()
	box := repo.Inbox{Store: store, Collection: collection}
	const other = "01KAMZZZZZZZZZZZZZZZZZZZZB"
	shared, own := []byte("{}"), []byte("{ }")
	leave := func(name string, files map[string][]byte) {
		t.Helper()
		if err := box.Leave(t.Context(), name, &repo.Submission{Collection: collection, Files: files}); err != nil {
			t.Fatal(err)
		}
	}
	leave(submissionName, map[string][]byte{"targets": shared, "releases": own})
	leave(other, map[string][]byte{"targets": shared})
	if whole, err := box.TakeBack(t.Context(), submissionName); !whole || err != nil {
		t.Fatalf("%v, %v", whole, err)
	}
	if _, err := box.Submission(t.Context(), submissionName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it still waits: %v", err)
	}
	if _, err := box.Submission(t.Context(), other); err != nil {
		t.Errorf("the other one has lost a part: %v", err)
	}
	n := 0
	for range store.List(t.Context(), collection+"/parts/") {
		n++
	}
	if n != 1 {
		t.Errorf("%d parts are left", n)
	}
	if _, err := box.TakeBack(t.Context(), submissionName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("again: %v", err)
	}
}

// TestTakeBackForbidden: who may not delete is told so, and nothing is gone; who
// may delete submissions alone learns that the parts stay.
func TestTakeBackForbidden(t *testing.T) {
	for _, row := range []struct {
		keeps       string
		gone, whole bool
	}{{"/", false, false}, {"/parts/", true, false}} {
		store := storage.NewMemory()
		box := repo.Inbox{Store: &keeping{Memory: store, part: row.keeps}, Collection: collection}
		if err := box.Leave(t.Context(), submissionName, &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}); err != nil {
			t.Fatal(err)
		}
		whole, err := box.TakeBack(t.Context(), submissionName)
		if errors.Is(err, fs.ErrPermission) == row.gone || whole != row.whole {
			t.Errorf("%s stay: %v, %v", row.keeps, whole, err)
		}
		if _, err := box.Submission(t.Context(), submissionName); errors.Is(err, fs.ErrNotExist) != row.gone {
			t.Errorf("%s stay: the submission: %v", row.keeps, err)
		}
	}
}

// keeping refuses to delete some objects.
type keeping struct {
	*storage.Memory
	part string
}

func (k *keeping) Delete(ctx context.Context, key string, prev storage.Version) error {
	if strings.Contains(key, k.part) {
		return fs.ErrPermission
	}
	return k.Memory.Delete(ctx, key, prev)
}

// TestTakeBackFails: without what deletes, nothing is taken; where nobody can tell
// what other submissions need, their parts stay.
func TestTakeBackFails(t *testing.T) {
	store := storage.NewMemory()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := (repo.Inbox{Store: store, Collection: collection}).Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	box := repo.Inbox{Store: struct{ storage.Store }{store}, Collection: collection}
	if _, err := box.TakeBack(t.Context(), submissionName); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the inbox cannot delete objects") {
		t.Errorf("without Delete: %v", err)
	}
	box.Store = storagetest.NewFaults(store, onNth("LIST", 1, storagetest.Lost)).Store()
	if whole, err := box.TakeBack(t.Context(), submissionName); whole || !errors.Is(err, storagetest.ErrInjected) || !strings.Contains(err.Error(), "look for what else waits") {
		t.Errorf("without a list: %v, %v", whole, err)
	}
	if _, err := storage.Stat(t.Context(), store, repo.PartKey(collection, sum("{}"))); err != nil {
		t.Errorf("the part: %v", err)
	}
}
