package storagetest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"publisher/storage"
)

func TestCounter(t *testing.T) {
	c := NewCounter(storage.NewMemory())
	s := c.Store()
	v := put(t, s, "k", "x", storage.Absent)
	read(t, s, "k")
	if _, err := s.(storage.Stater).Stat(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	checkList(t, s, "", "k")
	if err := s.(storage.Deleter).Delete(t.Context(), "k", v); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(Counts{Reads: 2, Writes: 1, Lists: 1, Deletes: 1}, c.Counts()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"PUT k", "GET k", "STAT k", "LIST ", "DELETE k"}, c.Log()); diff != "" {
		t.Error(diff)
	}
	c.Reset()
	if diff := cmp.Diff(Counts{}, c.Counts()); diff != "" || len(c.Log()) > 0 {
		t.Error("Reset forgets nothing")
	}
	if _, ok := s.(storage.Batcher); ok {
		t.Error("the counted store has an ability that Memory lacks")
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		fault   Fault
		want    error
		applied bool
		after   error
	}{
		{Lost, ErrInjected, false, nil},
		{AppliedFailed, ErrInjected, true, nil},
		{AppliedAgain, storage.ErrConflict, true, nil},
		{Killed, ErrKilled, true, ErrKilled},
	} {
		m := storage.NewMemory()
		f := NewFaults(m, OnPut(2, tt.fault))
		s := f.Store()
		put(t, s, "first", "x", storage.Absent)
		if _, err := s.Put(t.Context(), "second", strings.NewReader("y"), storage.Absent); !errors.Is(err, tt.want) {
			t.Errorf("%v: %v, want %v", tt.fault, err, tt.want)
		}
		_, err := m.Get(t.Context(), "second")
		if applied := !errors.Is(err, fs.ErrNotExist); applied != tt.applied {
			t.Errorf("%v: applied %v, want %v", tt.fault, applied, tt.applied)
		}
		if _, err := s.Get(t.Context(), "first"); !errors.Is(err, tt.after) {
			t.Errorf("after %v: %v, want %v", tt.fault, err, tt.after)
		}
		if got := f.Requests("PUT"); got != 2 {
			t.Errorf("%d Puts counted, want 2", got)
		}
	}
}

// failures is a testing.TB that counts instead of failing.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }

func TestImmutable(t *testing.T) {
	const slot, stamp = "c/metadata/1.root.json", "c/metadata/timestamp.json"
	for _, tt := range []struct {
		name string
		do   func(s storage.Store, slot, stamp storage.Version)
		want int
	}{
		{"timestamp replaced", func(s storage.Store, _, v storage.Version) { put(t, s, stamp, "2", v) }, 0},
		{"slot written again", func(s storage.Store, v, _ storage.Version) { put(t, s, slot, "1", v) }, 0},
		{"slot refused", func(s storage.Store, _, _ storage.Version) {
			wantConflict(t, s, slot, "2", storage.Absent)
		}, 0},
		{"slot changed", func(s storage.Store, v, _ storage.Version) { put(t, s, slot, "2", v) }, 1},
		{"slot deleted", func(s storage.Store, v, _ storage.Version) {
			if err := s.(storage.Deleter).Delete(t.Context(), slot, v); err != nil {
				t.Error(err)
			}
		}, 1},
	} {
		m := storage.NewMemory()
		v := put(t, m, slot, "1", storage.Absent) // before the watch began
		w := put(t, m, stamp, "1", storage.Absent)
		f := &failures{TB: t}
		tt.do(Immutable(f, m), v, w)
		if f.n != tt.want {
			t.Errorf("%s: %d failures, want %d", tt.name, f.n, tt.want)
		}
	}
}
