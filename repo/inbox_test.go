package repo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

const submissionName = "01KAMZZZZZZZZZZZZZZZZZZZZA"

// TestLeaveFails: who leaves a submission is told if any part of it is lost.
func TestLeaveFails(t *testing.T) {
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	for n := range 2 {
		store := storage.NewMemory()
		faults := storagetest.NewFaults(store, storagetest.OnPut(n+1, storagetest.Lost))
		box := repo.Inbox{Store: faults.Store(), Collection: collection}
		if err := box.Leave(t.Context(), submissionName, sub); !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("write %d lost: %v", n+1, err)
		}
		for name := range (repo.Inbox{Store: store, Collection: collection}).Waiting(t.Context()) {
			t.Errorf("write %d lost, and %s waits", n+1, name)
		}
		if err := box.Leave(t.Context(), submissionName, sub); err != nil {
			t.Errorf("again: %v", err)
		}
	}
}

// TestReadFails: a store that fails is not the submission's fault.
func TestReadFails(t *testing.T) {
	store := storage.NewMemory()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := (repo.Inbox{Store: store, Collection: collection}).Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		faults := storagetest.NewFaults(store, onNth("GET", n+1, storagetest.Lost))
		_, err := repo.Inbox{Store: faults.Store(), Collection: collection}.Submission(t.Context(), submissionName)
		var rejection *repo.Rejection
		if !errors.Is(err, storagetest.ErrInjected) || errors.As(err, &rejection) {
			t.Errorf("read %d lost: %v", n+1, err)
		}
	}
}

// TestAnswered: a receipt says what the committer said, and only what is final.
func TestAnswered(t *testing.T) {
	box := repo.Inbox{Store: storage.NewMemory(), Collection: collection}
	for _, final := range []error{
		&repo.Rejection{Role: "targets", Reason: errors.New("bad")},
		&repo.StaleError{Role: "targets"},
		&repo.BurnedError{Role: "targets", Version: 7},
		repo.ErrPublished,
	} {
		sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte(final.Error())}}
		r, err := repo.Answered(sub, nil, final)
		if err != nil {
			t.Errorf("%v is not final: %v", final, err)
			continue
		}
		if r, err = box.Answer(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		there, err := box.Receipt(t.Context(), sub.ID())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, there); diff != "" {
			t.Error(diff)
		}
		if there.Err().Error() != final.Error() || errors.Is(there.Err(), storage.ErrConflict) != errors.Is(final, storage.ErrConflict) {
			t.Errorf("%v comes back as %v", final, there.Err())
		}
	}
	box.Store = storagetest.NewFaults(storage.NewMemory(), storagetest.OnPut(1, storagetest.Lost)).Store()
	if r, err := box.Answer(t.Context(), &repo.Receipt{Collection: collection, Submission: sum("x")}); r != nil || !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "write receipt: ") {
		t.Errorf("not written: %+v, %v", r, err)
	}
	if r, err := repo.Answered(&repo.Submission{}, nil, storagetest.ErrInjected); r != nil || err != storagetest.ErrInjected {
		t.Errorf("a failure became %+v, %v", r, err)
	}
}

// TestReceiptMalformed: whoever may write the inbox can put anything there.
func TestReceiptMalformed(t *testing.T) {
	for _, text := range []string{"", "[]", "{}{}", `{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, `{"refused":"yes"}`, strings.Repeat(" ", 64<<10+1)} {
		box := repo.Inbox{Store: storage.NewMemory(), Collection: collection}
		if _, err := box.Store.Put(t.Context(), repo.ReceiptKey(collection, sum("x")), strings.NewReader(text), storage.Absent); err != nil {
			t.Fatal(err)
		}
		if r, err := box.Receipt(t.Context(), sum("x")); !errors.Is(err, repo.ErrReceipt) {
			t.Errorf("%.80s is read as %+v, %v", text, r, err)
		}
	}
}

// TestQuarantineFails: what could not be put aside stays where it is.
func TestQuarantineFails(t *testing.T) {
	store := storage.NewMemory()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := (repo.Inbox{Store: store, Collection: collection}).Leave(t.Context(), submissionName, sub); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "PUT"} {
		faults := storagetest.NewFaults(store, onNth(method, 1, storagetest.Lost))
		box := repo.Inbox{Store: faults.Store(), Collection: collection}
		if err := box.Quarantine(t.Context(), submissionName); !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("%s lost: %v", method, err)
		}
		if _, err := box.Submission(t.Context(), submissionName); err != nil {
			t.Errorf("%s lost, and the submission too: %v", method, err)
		}
	}
}
