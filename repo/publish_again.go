package repo

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"publisher/repo/tuf"
)

// This file is about a publish that begins again: others were faster, or garbage
// collection took a target that it had found in the store.

const (
	// maxVanished is how often a target is sent again that is not there any more.
	maxVanished = 10

	// maxPauses is how often a publish waits for a garbage collection to end: about
	// two minutes in all.
	maxPauses = 30

	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// CollectionPause is how long to wait for garbage collection to end, after so many
// such pauses; false if that was long enough.
func CollectionPause(tries int) (time.Duration, bool) {
	return min(firstPause<<min(tries, 10), maxPause), tries < maxPauses
}

// restarts is how often one publish has begun again, but for those who were
// faster, and the numbers that it does not sign any more.
type restarts struct {
	pauses, vanished int
	taken            map[string]int64
}

// again reports whether a publish that ended with err is to begin again.
func (p *Publisher) again(ctx context.Context, r *restarts, plan *Plan, sub *Submission, err error) (bool, error) {
	var stale *StaleError
	var going *CollectedError
	var missing *MissingError
	switch {
	case errors.As(err, &stale):
		// Somebody else was faster. What was uploaded stays useful; what was
		// signed is made again on top of theirs.
		return true, nil
	case errors.As(err, &going):
		return p.outlast(ctx, r, going, err)
	case errors.As(err, &missing) && r.vanished < maxVanished && plan.sends(missing.Name) && !plan.First:
		// It was there when it was looked for, and is sent again.
		r.vanished++
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		// A receipt refuses this submission for good: the next one must be another.
		return true, r.skip(sub)
	}
	return false, err
}

// outlast waits for a garbage collection that goes on. One that began long ago was
// interrupted, and ends when somebody runs it again.
func (p *Publisher) outlast(ctx context.Context, r *restarts, going *CollectedError, err error) (bool, error) {
	pause, ok := CollectionPause(r.pauses)
	if !ok || going.interrupted(p.Now()) {
		return false, err
	}
	r.pauses++
	if p.Pause != nil {
		return true, p.Pause(ctx, going, pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return true, nil
	}
}

// skip has the next submission signed under other numbers than this one, which may
// have been signed again at commit, under the numbers after those that were taken.
func (r *restarts) skip(sub *Submission) error {
	for role, data := range sub.Files {
		if role == tuf.RoleRoot {
			continue
		}
		f, err := tuf.Parse[tuf.Targets](data, maxMetadata)
		if err != nil {
			return err
		}
		r.taken[role] = max(r.taken[role]+1, f.Signed.Version)
	}
	return nil
}

// sends reports whether the bytes of a target are at hand.
func (p *Plan) sends(name string) bool {
	return slices.ContainsFunc(p.uploads, func(c Change) bool { return c.Name == name })
}
