package storage_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestProbeLostAnswer: a winner that is told of a conflict, with its own write,
// does not condemn the store.
func TestProbeLostAnswer(t *testing.T) {
	faults := storagetest.NewFaults(storage.NewMemory(), func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" {
			return storagetest.AppliedAgain
		}
		return storagetest.None
	})
	if err := storage.Probe(t.Context(), faults.Store(), "probe"); err != nil {
		t.Error(err)
	}
}

// full is a store in which every write meets a conflict, with what is there.
type full struct{ storage.Store }

func (full) Put(context.Context, string, io.ReadSeeker, storage.Version) (storage.Version, error) {
	return storage.Absent, storage.ErrConflict
}

func TestProbeNoWinner(t *testing.T) {
	for _, there := range []string{"", "round 1, writer 0", "round 0, writer 8", string(make([]byte, 1000))} {
		s := storage.NewMemory()
		if there != "" {
			if _, err := s.Put(t.Context(), "probe", strings.NewReader(there), storage.Absent); err != nil {
				t.Fatal(err)
			}
		}
		if err := storage.Probe(t.Context(), full{s}, "probe"); !errors.Is(err, storage.ErrNoCompareAndSwap) {
			t.Errorf("%.20q is there: %v", there, err)
		}
	}
	faults := storagetest.NewFaults(storage.NewMemory(), func(r storagetest.Request) storagetest.Fault {
		if r.Method == "GET" {
			return storagetest.Lost
		}
		return storagetest.None
	})
	if err := storage.Probe(t.Context(), full{faults.Store()}, "probe"); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("a store that does not answer: %v", err)
	}
}
