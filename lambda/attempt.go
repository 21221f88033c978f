package lambda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/storage"
)

const (
	// maxAttempts is how many attempts at a submission may never come back: it
	// uses up the memory or the time of whoever tries.
	maxAttempts = 3

	// longestAttempt is after how long an attempt has ended in one way or
	// another: a function runs for 15 minutes at most, by a clock that is 5 off.
	longestAttempt = 20 * time.Minute
)

var (
	errGivenUp   = fmt.Errorf("%d attempts at it never came back", maxAttempts)
	errElsewhere = fmt.Errorf("%d attempts at it are under way, or never came back", maxAttempts)
)

// attempts is the note on a submission that says how often work on it was begun
// and has not ended.
type attempts struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

var attemptsShape = strict.Object(strict.Fields{"count": strict.Int, "last": strict.String}, "count", "last")

// attempt notes that work on a submission begins. The caller calls back when it
// ends, in whatever way but that of time running out: then it counts as one that
// never came back. The error is errGivenUp after too many of them; as long as
// the last of those may be under way, it is errElsewhere.
func (s *Signer) attempt(ctx context.Context, collection, name string) (back func(error), err error) {
	nothing := func(error) {}
	key := repo.AttemptsKey(collection, name)
	version, err := s.countAttempt(ctx, key, attempts{1, s.Now().UTC()}, storage.Absent)
	if errors.Is(err, storage.ErrConflict) {
		version, err = s.attemptAgain(ctx, key)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.Log.Warn("note not written", "key", key, "error", err.Error())
		return nothing, nil
	case errors.Is(err, storage.ErrConflict):
		return nothing, nil // somebody tries as well, and has counted
	case err != nil:
		return nil, err
	}
	return func(err error) {
		if err == nil || ctx.Err() == nil {
			s.endAttempt(ctx, key, version)
		}
	}, nil
}

// attemptAgain counts an attempt that is not the first.
func (s *Signer) attemptAgain(ctx context.Context, key string) (storage.Version, error) {
	n, version, err := s.readAttempts(ctx, key)
	if err != nil {
		return "", err
	}
	if n.Count >= maxAttempts {
		if s.Now().Sub(n.Last) < longestAttempt {
			return "", errElsewhere
		}
		return "", errGivenUp
	}
	return s.countAttempt(ctx, key, attempts{n.Count + 1, s.Now().UTC()}, version)
}

// readAttempts takes a note that is gone meanwhile, or not one, for none.
func (s *Signer) readAttempts(ctx context.Context, key string) (n attempts, version storage.Version, err error) {
	data, version, err := storage.Read(ctx, s.private, key, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return n, storage.Absent, nil
	}
	if err != nil {
		return n, version, err
	}
	if strict.Check(data, maxNote, attemptsShape) != nil || json.Unmarshal(data, &n) != nil {
		return attempts{}, version, nil
	}
	return n, version, nil
}

func (s *Signer) countAttempt(ctx context.Context, key string, n attempts, prev storage.Version) (storage.Version, error) {
	text, err := json.Marshal(n, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("encode attempts: %w", err)
	}
	return s.private.Put(ctx, key, strings.NewReader(string(text)), prev)
}

// endAttempt removes the note. Where that is not allowed, it says zero.
func (s *Signer) endAttempt(ctx context.Context, key string, version storage.Version) {
	err := fs.ErrPermission
	if d, ok := s.private.(storage.Deleter); ok {
		err = d.Delete(ctx, key, version)
	}
	if errors.Is(err, fs.ErrPermission) {
		_, err = s.countAttempt(ctx, key, attempts{}, version)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrConflict) {
		s.Log.Warn("attempt not forgotten", "key", key, "error", err.Error())
	}
}

// forgetAttempts removes the note on a submission that is answered.
func (s *Signer) forgetAttempts(ctx context.Context, collection, name string) {
	key := repo.AttemptsKey(collection, name)
	if n, version, err := s.readAttempts(ctx, key); err == nil && n.Count > 0 {
		s.endAttempt(ctx, key, version)
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
