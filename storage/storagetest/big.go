package storagetest

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"publisher/storage"
)

const (
	big       = 70 << 20 // more than any driver sends in one request
	bigMemory = 48 << 20
)

func (suite Suite) testBig(t *testing.T, s storage.Store) {
	peak := watchHeap()
	body := storage.WithSHA256(NewBody(big), Sum(big), big)
	if _, err := s.Put(t.Context(), "big", body, storage.Absent); err != nil {
		t.Fatal(err)
	}
	wantBody(t, s, "big", big)
	if used := peak(); used > bigMemory && !suite.InMemory {
		t.Errorf("%d MiB of memory to write and read %d MiB, want at most %d", used>>20, big>>20, bigMemory>>20)
	}
	if _, err := s.Put(t.Context(), "big", body, storage.Absent); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a big object over another: %v, want ErrConflict", err)
	}
	if _, err := s.Put(t.Context(), "plain", NewBody(big), storage.Absent); err != nil {
		t.Errorf("a big body that does not know its hash: %v", err)
	}
	wantBody(t, s, "plain", big)
}

func testBigCorrupt(t *testing.T, s storage.Store) {
	for name, body := range corruptions(big) {
		if _, err := s.Put(t.Context(), "k", body, storage.Absent); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := s.Put(t.Context(), "k", &failingBody{NewBody(big), big - 1}, storage.Absent); !errors.Is(err, errBody) {
		t.Errorf("a big body that fails: %v, want the body's error", err)
	}
	checkList(t, s, "")
}

// testBigReplace: a driver may refuse to replace by a big object, but must not
// lose a race while it does.
func testBigReplace(t *testing.T, s storage.Store) {
	v := put(t, s, "k", "one", storage.Absent)
	now := put(t, s, "k", "two", v)
	if _, err := s.Put(t.Context(), "k", NewBody(big), v); err == nil {
		t.Error("a big object replaced a Version that was gone")
	}
	want(t, s, "k", "two", now)
	if _, err := s.Put(t.Context(), "k", NewBody(big), now); err != nil {
		want(t, s, "k", "two", now)
	} else {
		wantBody(t, s, "k", big)
	}
}

// watchHeap samples the heap until the returned function is called, which says
// by how much it grew at most.
func watchHeap() (peak func() int64) {
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	runtime.GC()
	var high atomic.Int64
	start, stop, done := inUse(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			high.Store(max(high.Load(), inUse()))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-done
		return high.Load() - start
	}
}
