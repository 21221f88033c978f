package lambda

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// What is read of a submission takes several times its size in memory while it
// is worked on, and a function that runs out of that cannot even say why. So
// there is room for one that is as large as they may be, and for a few of the
// usual size beside it; others wait.
const (
	usualSubmission = 1 << 20 // bytes
	maxRoom         = maxSubmission + 8*usualSubmission
)

// newRoom is the room for all submissions that are worked on at once, in bytes.
func newRoom() *semaphore.Weighted { return semaphore.NewWeighted(maxRoom) }

// A space is the room that one submission has.
type space struct {
	all  *semaphore.Weighted
	held int64
}

// enter waits for room for a submission of the usual size. The caller calls
// leave.
func enter(ctx context.Context, all *semaphore.Weighted) (*space, error) {
	if err := all.Acquire(ctx, usualSubmission); err != nil {
		return nil, err
	}
	return &space{all, usualSubmission}, nil
}

// hold waits until there is room for n bytes. More than the usual size is all
// that a submission may have: those that wait hold nothing, or two of them could
// wait for each other.
func (p *space) hold(ctx context.Context, n int64) error {
	if n <= p.held {
		return nil
	}
	p.leave()
	if err := p.all.Acquire(ctx, maxSubmission); err != nil {
		return err
	}
	p.held = maxSubmission
	return nil
}

func (p *space) leave() {
	p.all.Release(p.held)
	p.held = 0
}
