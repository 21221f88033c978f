package lambda

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/storage"
)

// A turn is something to be done for many collections, of which one run may not
// manage all.
type turn struct {
	what   string   // its progress
	names  []string // sorted
	most   int      // in one run
	atOnce int
}

// inTurn does it for each name, from where the run before stopped until time is
// up: whatever takes long, all have their turn.
func (s *Signer) inTurn(ctx context.Context, t *tally, todo turn, do func(name string)) {
	if len(todo.names) == 0 {
		return
	}
	after, version := s.stopped(ctx, todo.what)
	at, found := slices.BinarySearch(todo.names, after)
	if found {
		at++
	}
	order := slices.Concat(todo.names[at:], todo.names[:at])
	begun := s.begin(ctx, order[:min(todo.most, len(order))], todo.atOnce, do)
	if begun < todo.most && begun < len(order) {
		t.unfinished()
	}
	if begun > 0 && begun < len(order) {
		s.stop(ctx, todo.what, order[begun-1], version)
	}
}

// begin returns how many it has begun, and so done, when time was up.
func (s *Signer) begin(ctx context.Context, names []string, atOnce int, do func(name string)) int {
	var group errgroup.Group
	group.SetLimit(atOnce)
	var late atomic.Int64 // of the last that were started
	n := 0
	for ; n < len(names) && s.hasTime(ctx); n++ {
		name := names[n]
		group.Go(func() error {
			if s.hasTime(ctx) {
				do(name)
			} else {
				late.Add(1)
			}
			return nil
		})
	}
	group.Wait()
	return n - int(late.Load())
}

// place is where a turn stopped.
type place struct {
	After string `json:"after"`
}

var placeShape = strict.Object(strict.Fields{"after": strict.String}, "after")

// stopped is the name after which a run goes on. Where that cannot be told it
// begins with the first.
func (s *Signer) stopped(ctx context.Context, what string) (string, storage.Version) {
	data, version, err := storage.Read(ctx, s.private, repo.ProgressKey(what), maxNote)
	var p place
	if err != nil || strict.Check(data, maxNote, placeShape) != nil || json.Unmarshal(data, &p) != nil {
		return "", version
	}
	return p.After, version
}

// stop notes where a run stopped. Of two at once, either place will do.
func (s *Signer) stop(ctx context.Context, what, after string, version storage.Version) {
	text, err := json.Marshal(place{after}, json.Deterministic(true))
	if err == nil {
		err = s.note(ctx, repo.ProgressKey(what), string(text), version)
	}
	if err != nil {
		s.Log.Warn("place not noted", "what", what, "error", err.Error())
	}
}
