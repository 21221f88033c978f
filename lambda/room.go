package lambda

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// What is read of a submission takes several times its size in memory while it
// is worked on, and a function that runs out of that cannot even say why. So
// there is room for one that is as large as they may be, and for a few of the
// usual size beside it; others wait, the large ones apart from the usual ones:
// those are not to wait for them.
const (
	usualSubmission = 1 << 20 // bytes
	maxUsual        = 8       // submissions
)

// room is what all submissions have that are worked on at once.
type room struct {
	usual, large *semaphore.Weighted // submissions
}

func newRoom() *room {
	return &room{usual: semaphore.NewWeighted(maxUsual), large: semaphore.NewWeighted(1)}
}

// A space is the room that one submission has.
type space struct {
	room  *room
	of    *semaphore.Weighted // usual or large, nil for none
	bytes int64
}

// enter waits for room for a submission of the usual size. The caller calls
// leave.
func (r *room) enter(ctx context.Context) (*space, error) {
	if err := r.usual.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return &space{r, r.usual, usualSubmission}, nil
}

// hold waits until there is room for n bytes. More than the usual size is all
// that a submission may have: those that wait hold nothing, or two of them could
// wait for each other.
func (p *space) hold(ctx context.Context, n int64) error {
	if n <= p.bytes {
		return nil
	}
	p.leave()
	if err := p.room.large.Acquire(ctx, 1); err != nil {
		return err
	}
	p.of, p.bytes = p.room.large, maxSubmission
	return nil
}

func (p *space) leave() {
	if p.of != nil {
		p.of.Release(1)
	}
	p.of, p.bytes = nil, 0
}
