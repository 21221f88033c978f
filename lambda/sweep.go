package lambda

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/oklog/ulid/v2"

	"publisher/repo"
	"publisher/storage"
)

const (
	// maxInboxes is how many inboxes one run looks into: each costs a request to
	// list it. The next run goes on with the others.
	maxInboxes = 1000

	// maxWaiting is how many submissions of one inbox one run commits, so that
	// who fills theirs delays nobody else.
	maxWaiting = 100

	// maxListed is how many submissions of one inbox are looked at for that, and
	// maxPassed how many objects that are none.
	maxListed = 2000
	maxPassed = 50_000

	// sweepers is how many collections are committed to at once.
	sweepers = 4
)

// scheduled is what the schedule is for: everything that is due is signed, then
// inboxes are swept, of whatever events were lost.
func (s *Signer) scheduled(ctx context.Context) (any, error) {
	t := &tally{}
	names, err := s.visit(ctx, t, s.Only != Publishing)
	if err != nil {
		return nil, err
	}
	if s.Only != Refreshing {
		s.sweepMany(ctx, t, names)
	}
	return s.finish(t)
}

// refreshAll signs everything that is due.
func (s *Signer) refreshAll(ctx context.Context) (any, error) {
	t := &tally{}
	if _, err := s.visit(ctx, t, true); err != nil {
		return nil, err
	}
	return s.finish(t)
}

// visit returns all collections, refreshed if that is asked for: first those that
// are known, then those that turn up.
func (s *Signer) visit(ctx context.Context, t *tally, refresh bool) ([]string, error) {
	names, err := s.collections(ctx)
	if err != nil {
		return nil, err
	}
	if refresh {
		s.refreshMany(ctx, t, names)
	}
	found := s.discover(ctx, t, names)
	if refresh && s.begin(ctx, found, s.Concurrency, func(name string) { s.refreshOne(ctx, name, t) }) < len(found) {
		t.unfinished()
	}
	names = append(names, found...)
	slices.Sort(names)
	return names, nil
}

func (s *Signer) refreshMany(ctx context.Context, t *tally, names []string) {
	s.inTurn(ctx, t, turn{what: "refresh", names: names, most: len(names), atOnce: s.Concurrency}, func(name string) {
		s.refreshOne(ctx, name, t)
	})
}

func (s *Signer) sweepMany(ctx context.Context, t *tally, names []string) {
	s.inTurn(ctx, t, turn{what: "sweep", names: names, most: maxInboxes, atOnce: sweepers}, func(name string) {
		s.sweepCollection(ctx, t, name)
	})
	s.sweepAsked(ctx, t, names)
	if err := s.tidyAttempts(ctx); err != nil {
		t.failed("list attempts", err)
	}
}

func (s *Signer) finish(t *tally) (any, error) {
	s.Log.Info("run finished", "counts", t.counts)
	if err := t.err(); err != nil {
		return nil, err
	}
	return &t.counts, nil
}

// isSubmission: what lies below submissions/quarantine is not one.
func isSubmission(p repo.PrivateKey) bool {
	_, err := ulid.ParseStrict(p.Name)
	return p.Kind == "submissions" && err == nil
}

func (s *Signer) refreshOne(ctx context.Context, collection string, t *tally) {
	if err := s.refresh(ctx, collection, !s.Windows.open(s.Now()), t); err != nil {
		if s.isLost(t, collection, err) {
			return
		}
		s.fail("refresh failed", err, "collection", collection)
		s.metrics.failure(collection)
		t.failed("refresh "+collection, err)
	}
}

// isLost reports whether an error is that what was published is gone, and says
// so. People have to look after that one collection, for as long as it takes
// them: the run does not fail for it.
func (s *Signer) isLost(t *tally, collection string, err error) bool {
	var gone *lostError
	if !errors.As(err, &gone) {
		return false
	}
	s.fail("collection lost", err, "collection", collection)
	s.metrics.lost(collection)
	t.lost(collection, err)
	return true
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
	case err != nil && s.isLost(t, collection, err):
		return false
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

// sweepCollection commits what waits in one inbox, as much as one run may, and
// reports whether all of it is answered.
func (s *Signer) sweepCollection(ctx context.Context, t *tally, collection string) bool {
	waiting, all, err := s.waiting(ctx, collection)
	if err != nil {
		t.failed("list "+collection, err)
		return false
	}
	if !all {
		s.Log.Warn("inbox is crowded", "collection", collection)
		t.unfinished()
	}
	for _, name := range waiting {
		all = s.sweepOne(ctx, t, collection, name) && all
	}
	return all
}

// Between these two lie all names that a ULID can have.
const (
	beforeULIDs = "/"
	afterULIDs  = "8"
)

// waiting is the names of the submissions in one inbox, and whether that is all
// of them. Of too many it takes the oldest, and others by chance: among the
// oldest may be those that fail again and again.
func (s *Signer) waiting(ctx context.Context, collection string) (names []string, all bool, err error) {
	passed, all, dir := 0, true, repo.SubmissionsDir(collection)
	for e, err := range storage.ListAfter(ctx, s.private, dir, dir+beforeULIDs) {
		if err != nil {
			return nil, false, err
		}
		if e.Key > dir+afterULIDs {
			break
		}
		if p, ok := repo.ParsePrivate(e.Key); ok && isSubmission(p) {
			names = append(names, p.Name)
		} else {
			passed++
		}
		if len(names) == maxListed || passed == maxPassed {
			all = false
			break
		}
	}
	if len(names) <= maxWaiting {
		return names, all, nil
	}
	others := names[maxWaiting/2:]
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return names[:maxWaiting], false, nil
}
