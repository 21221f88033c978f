package repo_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

const month = 30 * 24 * time.Hour

// newMail is an inbox on a clock that a test moves.
func newMail() (repo.Inbox, *time.Time) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	store := storage.NewMemory()
	store.Now = func() time.Time { return now }
	return repo.Inbox{Store: store, Collection: collection}, &now
}

func oldMail(t *testing.T, box repo.Inbox, now time.Time) repo.Garbage {
	t.Helper()
	found, err := box.Garbage(t.Context(), now.Add(-month))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func removeMail(t *testing.T, box repo.Inbox, found repo.Garbage, now time.Time) int {
	t.Helper()
	told := 0
	n, err := box.Remove(t.Context(), found, now.Add(-month), func() { told++ })
	if err != nil || n != told {
		t.Fatalf("%d removed, %d told: %v", n, told, err)
	}
	return n
}

// TestMailKeepsReceiptOfWhatIsThere: where nobody may take answered submissions
// out of the inbox, the receipt alone says that one is answered.
func TestMailKeepsReceiptOfWhatIsThere(t *testing.T) {
	box, now := newMail()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := box.Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	refused, err := repo.Answered(sub, nil, &repo.StaleError{Role: "targets"})
	if err == nil {
		_, err = box.Answer(t.Context(), refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	*now = now.Add(40 * 24 * time.Hour)
	if n := removeMail(t, box, oldMail(t, box, *now), *now); n != 0 {
		t.Errorf("%d objects of a submission that is still there are gone", n)
	}
	if _, err := box.Receipt(t.Context(), sub.ID()); err != nil {
		t.Errorf("its receipt: %v", err)
	}
	if err := box.Clear(t.Context(), submissionName); err != nil {
		t.Fatal(err)
	}
	if n := removeMail(t, box, oldMail(t, box, *now), *now); n != 2 {
		t.Errorf("after it was cleared %d objects went, not its part and its receipt", n)
	}
}

// TestMailWantedAgain: what was garbage when somebody looked is not removed after
// it was left again, or signed.
func TestMailWantedAgain(t *testing.T) {
	box, now := newMail()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	put := func(key string) {
		if _, err := box.Store.Put(t.Context(), key, strings.NewReader("{}"), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	put(repo.PartKey(collection, sum("{}")))
	put(repo.PartKey(collection, sum("nobody's")))
	put(repo.DraftKey(collection, "d1"))
	*now = now.Add(40 * 24 * time.Hour)
	found := oldMail(t, box, *now)
	if len(found) != 3 {
		t.Fatalf("%d objects are garbage, not 3", len(found))
	}
	if err := box.Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	put(repo.DraftSignatureKey(collection, "d1", sum("x")))
	if n := removeMail(t, box, found, *now); n != 1 {
		t.Errorf("%d objects were removed, not the one part that nobody wants", n)
	}
	if _, err := box.Submission(t.Context(), submissionName); err != nil {
		t.Errorf("the submission that was left again: %v", err)
	}
	if _, err := storage.Stat(t.Context(), box.Store, repo.DraftKey(collection, "d1")); err != nil {
		t.Errorf("the draft that was signed: %v", err)
	}
}

// TestLeaveBesideRemoval: a part that was there before, and is removed as garbage
// while a submission of it is being left, is left again.
func TestLeaveBesideRemoval(t *testing.T) {
	box, now := newMail()
	part := []byte("{}")
	key := repo.PartKey(collection, sum("{}"))
	if _, err := box.Store.Put(t.Context(), key, bytes.NewReader(part), storage.Absent); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(40 * 24 * time.Hour)
	found := oldMail(t, box, *now)
	leaver := box
	leaver.Store = storagetest.NewFaults(box.Store, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" && strings.Contains(r.Key, "/submissions/") {
			removeMail(t, box, found, *now)
		}
		return storagetest.None
	}).Store()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": part}}
	if err := leaver.Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Submission(t.Context(), submissionName); err != nil {
		t.Error(err)
	}
}

// TestMailRemoveFails: what may not be deleted is told.
func TestMailRemoveFails(t *testing.T) {
	box, now := newMail()
	for _, content := range []string{"a", "b"} {
		if _, err := box.Store.Put(t.Context(), repo.PartKey(collection, sum(content)), strings.NewReader(content), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	*now = now.Add(40 * 24 * time.Hour)
	found := oldMail(t, box, *now)
	box.Store = undeletable{box.Store.(*storage.Memory), sum("b")}
	_, err := box.Remove(t.Context(), found, now.Add(-month), func() {})
	if !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	left := oldMail(t, box, *now)
	if !slices.ContainsFunc(left, func(e storage.Entry) bool { return strings.HasSuffix(e.Key, sum("b")) }) {
		t.Errorf("left is %v", left)
	}
}
