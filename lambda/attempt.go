package lambda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/storage"
)

const (
	// maxAttempts is how many attempts at a submission may never come back, as
	// it uses up the memory of whoever tries, before it is left alone for a while.
	// After one more it is given up.
	maxAttempts = 3

	// longestAttempt is after how long an attempt has ended in one way or
	// another: a function runs for 15 minutes at most, by a clock that is 5 off.
	longestAttempt = 20 * time.Minute

	// endingTime is how long the end of an attempt may take, of the time that the
	// run has.
	endingTime = 5 * time.Second

	// attemptTries is how often a note that others change too is tried.
	attemptTries = 5
)

var (
	errGivenUp   = fmt.Errorf("%d attempts at it never came back", maxAttempts+1)
	errElsewhere = errors.New("the attempts at it are under way, or never came back")
)

// attempts is the note on a submission that says which attempts at it were begun
// and have not ended: when, by the names that they give themselves.
type attempts struct {
	Begun map[string]time.Time `json:"begun"`
}

var attemptsShape = strict.Object(strict.Fields{"begun": strict.Map(strict.String)}, "begun")

// underWay is the attempts of this process. What a note says of others of its
// own it knows better: they have ended, and could not say so.
type underWay struct {
	process string
	mu      sync.Mutex
	names   map[string]bool
}

func newUnderWay() *underWay {
	return &underWay{process: ulid.Make().String() + "/", names: map[string]bool{}}
}

func (u *underWay) begin() (name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name = u.process + ulid.Make().String()
	u.names[name] = true
	return name
}

func (u *underWay) end(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.names, name)
}

// ended reports whether an attempt is known to be over.
func (u *underWay) ended(name string, _ time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.HasPrefix(name, u.process) && !u.names[name]
}

// An attempt is work on a submission that was noted.
type attempt struct {
	signer  *Signer
	key     string
	name    string
	version storage.Version // of the note that names it alone, or Absent
}

// attempt notes that work on a submission begins. The error is errGivenUp after
// too many attempts that never came back; as long as the last of those may be
// under way, it is errElsewhere.
func (s *Signer) attempt(ctx context.Context, collection, name string) (*attempt, error) {
	a := &attempt{signer: s, key: repo.AttemptsKey(collection, name), name: s.attempts.begin()}
	version, err := s.writeAttempts(ctx, a.key, attempts{map[string]time.Time{a.name: s.Now().UTC()}}, storage.Absent)
	if err == nil {
		a.version = version
		return a, nil
	}
	if errors.Is(err, storage.ErrConflict) {
		err = a.join(ctx)
	}
	if errors.Is(err, fs.ErrPermission) {
		s.Log.Warn("note not written", "key", a.key, "error", err.Error())
		err = nil
	}
	if err != nil {
		a.end(ctx, false) // it may have been noted all the same
		return nil, err
	}
	return a, nil
}

// join adds an attempt to those that were noted before.
func (a *attempt) join(ctx context.Context) error {
	s := a.signer
	return a.change(ctx, func(n *attempts) error {
		now := s.Now().UTC()
		if len(n.Begun) >= maxAttempts {
			last := slices.MaxFunc(slices.Collect(maps.Values(n.Begun)), time.Time.Compare)
			if now.Sub(last) < longestAttempt {
				return errElsewhere
			}
		}
		if len(n.Begun) > maxAttempts {
			return errGivenUp
		}
		n.Begun[a.name] = now
		return nil
	})
}

// change rewrites the note until nobody else does at the same time. After too
// many of those it stays as it is: they have noted theirs.
func (a *attempt) change(ctx context.Context, to func(*attempts) error) error {
	for range attemptTries {
		n, version, err := a.signer.readAttempts(ctx, a.key)
		if err != nil {
			return err
		}
		maps.DeleteFunc(n.Begun, a.signer.attempts.ended)
		if err := to(&n); err != nil {
			return err
		}
		if len(n.Begun) == 0 {
			err = a.signer.dropAttempts(ctx, a.key, version)
		} else {
			_, err = a.signer.writeAttempts(ctx, a.key, n, version)
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
	return nil
}

// end takes the attempt back: it came to an end, if perhaps to none that is good,
// and the process lives. Others that are noted stay, unless the submission is
// answered.
func (a *attempt) end(ctx context.Context, answered bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingTime)
	defer cancel()
	a.signer.attempts.end(a.name)
	if a.version != storage.Absent && a.signer.dropAttempts(ctx, a.key, a.version) == nil {
		return
	}
	err := a.change(ctx, func(n *attempts) error {
		delete(n.Begun, a.name)
		if answered {
			clear(n.Begun)
		}
		return nil
	})
	a.signer.notForgotten(a.key, err)
}

// within is the time of an attempt: some of what the run has is kept for its end.
func (s *Signer) within(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(endingTime, time.Until(deadline)/4)))
}

// readAttempts takes a note that is gone meanwhile, or not one, for none.
func (s *Signer) readAttempts(ctx context.Context, key string) (n attempts, version storage.Version, err error) {
	data, version, err := storage.Read(ctx, s.private, key, maxNote)
	n.Begun = map[string]time.Time{}
	if errors.Is(err, fs.ErrNotExist) {
		return n, storage.Absent, nil
	}
	if err != nil {
		return n, version, err
	}
	var there attempts
	if strict.Check(data, maxNote, attemptsShape) != nil || json.Unmarshal(data, &there) != nil {
		return n, version, nil
	}
	maps.Copy(n.Begun, there.Begun)
	return n, version, nil
}

func (s *Signer) writeAttempts(ctx context.Context, key string, n attempts, prev storage.Version) (storage.Version, error) {
	text, err := json.Marshal(n, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("encode attempts: %w", err)
	}
	return s.private.Put(ctx, key, strings.NewReader(string(text)), prev)
}

// dropAttempts removes the note. Where that is not allowed, it says none.
func (s *Signer) dropAttempts(ctx context.Context, key string, version storage.Version) error {
	if version == storage.Absent {
		return nil
	}
	err := fs.ErrPermission
	if d, ok := s.private.(storage.Deleter); ok {
		err = d.Delete(ctx, key, version)
	}
	if errors.Is(err, fs.ErrPermission) {
		_, err = s.writeAttempts(ctx, key, attempts{map[string]time.Time{}}, version)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// forgetAttempts removes the note on a submission that is answered: whoever else
// is at it finds the answer.
func (s *Signer) forgetAttempts(ctx context.Context, collection, name string) {
	key := repo.AttemptsKey(collection, name)
	n, version, err := s.readAttempts(ctx, key)
	if err == nil && len(n.Begun) > 0 {
		s.notForgotten(key, s.dropAttempts(ctx, key, version))
	}
}

func (s *Signer) notForgotten(key string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrConflict) {
		s.Log.Warn("attempt not forgotten", "key", key, "error", err.Error())
	}
}

// tidyAttempts removes notes on submissions that are gone: whoever answered
// those ended before it could.
func (s *Signer) tidyAttempts(ctx context.Context) error {
	for e, err := range s.private.List(ctx, repo.AttemptsDir) {
		if err != nil {
			return err
		}
		if !s.hasTime(ctx) {
			return nil
		}
		collection, name, ok := repo.ParseAttempts(e.Key)
		if !ok {
			continue
		}
		_, err := storage.Stat(ctx, s.private, repo.SubmissionKey(collection, name))
		if errors.Is(err, fs.ErrNotExist) {
			s.forgetAttempts(ctx, collection, name)
		}
	}
	return nil
}
