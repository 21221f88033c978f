package lambda

import (
	"fmt"
	"testing"
	"time"

	"publisher/repo"
)

// TestWalkerSkips: a listing begins anew behind what has many objects that are no
// keys, not before there are many, and never behind what has no place.
func TestWalkerSkips(t *testing.T) {
	for _, row := range []struct {
		name string
		key  func(n int) string
		from int // the first key behind which it begins anew, 0 for none
	}{
		{"receipts", func(n int) string { return repo.ReceiptKey("a", fmt.Sprintf("%064d", n)) }, manySkipped},
		{"what has no place", func(n int) string { return fmt.Sprintf("%05d", n) }, 0},
	} {
		w, from := walker{}, 0
		for n := 1; n <= 2*manySkipped && from == 0; n++ {
			if _, skip := w.next(row.key(n)); skip {
				from = n
			}
		}
		if from != row.from {
			t.Errorf("%s: it begins anew behind object %d, not %d", row.name, from, row.from)
		}
	}
}

// TestUnderWay: of its own attempts a process knows which have ended, and of
// others none.
func TestUnderWay(t *testing.T) {
	u, other := newUnderWay(), newUnderWay()
	name := u.begin()
	if u.ended(name, time.Time{}) {
		t.Error("an attempt that is under way has ended")
	}
	u.end(name)
	if !u.ended(name, time.Time{}) || other.ended(name, time.Time{}) {
		t.Error("an attempt that has ended is under way, or another process knows")
	}
}
