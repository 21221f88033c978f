package parallel

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestEachDoesEveryItemOnce(t *testing.T) {
	for _, n := range []int{0, 1, 3, 1000} {
		done := make([]atomic.Int64, n)
		var running, most atomic.Int64
		err := Each(t.Context(), 4, n, func(_ context.Context, i int) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			done[i].Add(1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range done {
			if got := done[i].Load(); got != 1 {
				t.Fatalf("item %d of %d was done %d times", i, n, got)
			}
		}
		if most.Load() > 4 {
			t.Errorf("%d at once, at most 4 allowed", most.Load())
		}
	}
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var begun atomic.Int64
	err := Each(t.Context(), 1, 1000, func(_ context.Context, i int) error {
		begun.Add(1)
		if i == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || begun.Load() != 4 {
		t.Errorf("error %v after %d items, want %v after 4", err, begun.Load(), broken)
	}
}

func TestEachEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Each(ctx, 2, 1000, func(_ context.Context, i int) error {
		if i == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
