package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// Refresh signs snapshot and timestamp again, each if less than half of its
// life is left, both with force. It works on expired ones. A collection of
// which nothing is due costs one read; its Receipt is nil.
func (c *Committer) Refresh(ctx context.Context, force bool) (*Receipt, error) {
	return c.refreshAgain(ctx, force, (*View).due)
}

// RefreshUrgent is a Refresh that leaves alone what has a quarter of its life
// left.
func (c *Committer) RefreshUrgent(ctx context.Context) (*Receipt, error) {
	return c.refreshAgain(ctx, false, (*View).urgent)
}

// Renew signs a new timestamp whether one is due or not: whoever has loaded the
// collection before and is about to commit begins again. The snapshot stays if it
// is not due. The error is a *SoonError if the last timestamp was signed less than
// rest ago, and is not due.
func (c *Committer) Renew(ctx context.Context, rest time.Duration) (*Receipt, error) {
	return c.again(ctx, func() (*Receipt, error) {
		v, err := c.loader().Load(ctx)
		switch {
		case err != nil:
			return nil, err
		case !v.Published():
			return nil, ErrNotPublished
		case !v.due():
			if err := v.checkRest(rest); err != nil {
				return nil, err
			}
		}
		return c.Commit(ctx, v, &Submission{Collection: c.Collection})
	})
}

// refreshAgain is refresh for as long as others are faster.
func (c *Committer) refreshAgain(ctx context.Context, force bool, due func(*View) bool) (*Receipt, error) {
	return c.again(ctx, func() (*Receipt, error) { return c.refresh(ctx, force, due) })
}

func (c *Committer) again(ctx context.Context, do func() (*Receipt, error)) (*Receipt, error) {
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		receipt, err := do()
		if !errors.Is(err, errRace) {
			return receipt, err
		}
	}
	return nil, fmt.Errorf("refresh: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

func (c *Committer) refresh(ctx context.Context, force bool, due func(*View) bool) (*Receipt, error) {
	v, err := c.loader().begin()
	if err != nil {
		return nil, err
	}
	raw, err := v.readTimestamp(ctx)
	switch {
	case err != nil:
		return nil, err
	case raw == nil:
		return nil, ErrNotPublished
	case !force && v.fresh(raw):
		return nil, nil
	}
	if err := v.walkRoots(ctx); err != nil {
		return nil, err
	}
	if err := v.finish(ctx, raw); err != nil {
		return nil, err
	}
	if !force && !due(v) {
		return nil, nil // the trusted root was too old to tell, or it can wait
	}
	return c.Commit(ctx, v, &Submission{Collection: c.Collection, renew: force})
}

// fresh reports whether timestamp.json says, under the root known so far, that
// nothing is due. Whatever speaks against it will come up in finish.
func (v *View) fresh(raw []byte) bool {
	ts, err := tuf.Parse[tuf.Timestamp](raw, MaxTimestamp)
	if err != nil || verifyTop(v.Root(), tuf.RoleTimestamp, ts) != nil {
		return false
	}
	if old := v.old.timestamp; old != nil && old.Signed.Version > ts.Signed.Version {
		return false
	}
	return v.loader.Now.Before(refreshAfter(&v.Root().Signed, ts))
}

// due also looks at what a rotation has left behind.
func (v *View) due() bool {
	return len(v.lagging) > 0 || !v.loader.Now.Before(refreshAfter(&v.Root().Signed, v.Timestamp))
}

// urgent: what is not signed again now may expire before it is. What a rotation
// has left behind does not wait either.
func (v *View) urgent() bool {
	quarter := func(role string, expires time.Time) bool {
		return !v.loader.Now.Before(expires.Add(-lifetime(&v.Root().Signed, role) / 4))
	}
	return len(v.lagging) > 0 || quarter(tuf.RoleTimestamp, v.Timestamp.Signed.Expires) || quarter(tuf.RoleSnapshot, v.Snapshot.Signed.Expires)
}

// refreshAfter is when snapshot or timestamp is to be signed again.
func refreshAfter(root *tuf.Root, ts *tuf.File[tuf.Timestamp]) time.Time {
	half := halfLife(root, tuf.RoleTimestamp, ts.Signed.Expires)
	if told := ts.Head().Publisher.RefreshAfter; !told.IsZero() {
		return earliest(half, told)
	}
	return half
}

// A SoonError reports a timestamp that was signed too recently for another one
// that is not due. To ask again after Rest helps.
type SoonError struct {
	Rest time.Duration
}

func (e *SoonError) Error() string {
	return fmt.Sprintf("timestamp was signed less than %v ago", e.Rest)
}

// checkRest goes by the expiry, which is counted from when a file was signed:
// nothing else says that. One that would be signed later than now says nothing.
func (v *View) checkRest(rest time.Duration) error {
	signed := v.Timestamp.Signed.Expires.Add(-lifetime(&v.Root().Signed, tuf.RoleTimestamp))
	if age := v.loader.Now.Sub(signed); age >= 0 && age < rest {
		return &SoonError{rest}
	}
	return nil
}
