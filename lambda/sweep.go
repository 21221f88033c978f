package lambda

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"publisher/repo"
)

const (
	// maxWaiting is how many submissions one run takes from a listing.
	maxWaiting = 10_000

	// sweepers is how many collections are committed to at once.
	sweepers = 4
)

// scheduled is what the schedule is for: everything that is due is signed, then
// the inbox is swept, of whatever events were lost. Both come from one listing
// of the private store.
func (s *Signer) scheduled(ctx context.Context) (any, error) {
	t := &tally{}
	waiting, err := s.walk(ctx, t, s.Only != Publishing)
	if err != nil {
		return nil, err
	}
	if s.Only != Refreshing {
		s.sweep(ctx, t, waiting)
	}
	return s.finish(t)
}

// refreshAll signs everything that is due.
func (s *Signer) refreshAll(ctx context.Context) (any, error) {
	t := &tally{}
	if _, err := s.walk(ctx, t, true); err != nil {
		return nil, err
	}
	return s.finish(t)
}

func (s *Signer) finish(t *tally) (any, error) {
	s.Log.Info("run finished", "counts", t.counts)
	if err := t.err(); err != nil {
		return nil, err
	}
	return &t.counts, nil
}

// walk lists the private store once. Collections are found by their keys, of
// which each has some before it is published.
func (s *Signer) walk(ctx context.Context, t *tally, refresh bool) (waiting map[string][]string, err error) {
	var group errgroup.Group
	group.SetLimit(s.Concurrency)
	defer group.Wait()
	waiting = map[string][]string{}
	found, last := 0, ""
	for e, err := range s.private.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if !s.hasTime(ctx) {
			t.unfinished()
			return waiting, nil
		}
		p, ok := repo.ParsePrivate(e.Key)
		switch {
		case !ok:
		case p.Kind == "keys" && p.Collection != last && refresh:
			last = p.Collection
			group.Go(func() error { s.refreshOne(ctx, p.Collection, t); return nil })
		case isSubmission(p) && found < maxWaiting:
			found++
			waiting[p.Collection] = append(waiting[p.Collection], p.Name)
		case isSubmission(p):
			t.unfinished()
		}
	}
	return waiting, nil
}

// isSubmission: what lies below submissions/quarantine is not one.
func isSubmission(p repo.PrivateKey) bool {
	_, err := ulid.ParseStrict(p.Name)
	return p.Kind == "submissions" && err == nil
}

func (s *Signer) refreshOne(ctx context.Context, collection string, t *tally) {
	if !s.hasTime(ctx) {
		t.unfinished()
		return
	}
	if err := s.refresh(ctx, collection, t); err != nil {
		s.fail("refresh failed", err, "collection", collection)
		s.metrics.failure(collection)
		t.failed("refresh "+collection, err)
	}
}

// sweep commits what waits, by collection. It returns those that it did not
// finish.
func (s *Signer) sweep(ctx context.Context, t *tally, waiting map[string][]string) {
	var group errgroup.Group
	group.SetLimit(sweepers)
	for _, collection := range slices.Sorted(maps.Keys(waiting)) {
		group.Go(func() error {
			for _, name := range waiting[collection] {
				s.sweepOne(ctx, t, collection, name)
			}
			return nil
		})
	}
	group.Wait()
}

// sweepOne reports whether the submission is answered.
func (s *Signer) sweepOne(ctx context.Context, t *tally, collection, name string) bool {
	if !s.hasTime(ctx) {
		t.unfinished()
		return false
	}
	receipt, err := s.commit(ctx, collection, name)
	switch {
	case errors.Is(err, errNoSubmission):
		// Another run was faster.
	case err != nil:
		t.failed("commit to "+collection, err)
		return false
	case receipt.Refused != nil:
		t.add(func(c *Counts) { c.Refused++ })
	default:
		t.add(func(c *Counts) { c.Committed++ })
	}
	return true
}

// sweepCollection commits what waits in one inbox, and reports whether all of
// it is answered.
func (s *Signer) sweepCollection(ctx context.Context, t *tally, collection string) bool {
	done := true
	for name, err := range (repo.Inbox{Store: s.private, Collection: collection}).Waiting(ctx) {
		if err != nil {
			t.failed("list "+collection, err)
			return false
		}
		done = s.sweepOne(ctx, t, collection, name) && done
	}
	return done
}
