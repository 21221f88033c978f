package lambda

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"publisher/storage"
)

// TestRoom: whatever sizes come, all of them get in, and never more at once than
// there is room for.
func TestRoom(t *testing.T) {
	room := newRoom()
	var inside, most atomic.Int64
	var group sync.WaitGroup
	for n := range 100 {
		group.Go(func() {
			s, err := room.enter(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			size := int64(1) << (n % 26) // up to all that one may have
			for _, part := range []int64{size / 2, size} {
				if err := s.hold(t.Context(), part); err != nil {
					t.Error(err)
				}
			}
			now := inside.Add(size)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			inside.Add(-size)
			s.leave()
		})
	}
	group.Wait()
	if all := int64(maxSubmission + maxUsual*usualSubmission); most.Load() > all {
		t.Errorf("%d bytes at once, there is room for %d", most.Load(), all)
	}
	if !room.usual.TryAcquire(maxUsual) || !room.large.TryAcquire(1) {
		t.Error("somebody has not left")
	}
}

// TestRoomWaits: who waits for room stops when its time is up, and then holds
// nothing.
func TestRoomWaits(t *testing.T) {
	room := newRoom()
	large, err := room.enter(t.Context())
	if err == nil {
		err = large.hold(t.Context(), usualSubmission+1)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	other, err := room.enter(ctx)
	if err != nil {
		t.Fatalf("no room for a usual one beside a large one: %v", err)
	}
	cancel()
	if err := other.hold(ctx, maxSubmission); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	other.leave()
	large.leave()
	if !room.usual.TryAcquire(maxUsual) || !room.large.TryAcquire(1) {
		t.Error("somebody has not left")
	}
}

// TestLargeHoldNobodyUp: usual ones come in while large ones wait for a large
// one.
func TestLargeHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newRoom()
		first, err := room.enter(t.Context())
		if err == nil {
			err = first.hold(t.Context(), maxSubmission)
		}
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				s, err := room.enter(t.Context())
				if err == nil {
					err = s.hold(t.Context(), maxSubmission)
				}
				if err != nil {
					t.Error(err)
					return
				}
				s.leave()
			})
		}
		synctest.Wait()
		for range maxUsual {
			s, err := room.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.leave()
		}
		first.leave()
		group.Wait()
	})
}

// sized is a store whose objects say that they have so many bytes.
type sized struct {
	storage.Store
	size int64
}

func (s sized) Get(context.Context, string) (storage.Object, error) {
	return storage.Object{Size: s.size, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// TestLimit: nothing is read of a submission that does not say how large it is, or
// for which there is no room in time.
func TestLimit(t *testing.T) {
	room := newRoom()
	s, err := room.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := limit(sized{size: -1}, s).Get(t.Context(), "a"); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("of unknown size: %v", err)
	}
	other, err := room.enter(t.Context())
	if err == nil {
		err = other.hold(t.Context(), maxSubmission)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := limit(sized{size: usualSubmission + 1}, s).Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("without room: %v", err)
	}
}
