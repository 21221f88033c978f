package repo_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/storage"
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
