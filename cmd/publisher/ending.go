package main

import (
	"context"
	"sync"
	"time"
)

// An ending is when a daemon is to end: unknown at first, and then once, for all
// that is under way.
type ending struct {
	over context.Context // done when the grace is over
	end  context.CancelFunc

	mu sync.Mutex
	at time.Time // zero as long as nobody has asked for the end
}

func newEnding() *ending {
	e := &ending{}
	e.over, e.end = context.WithCancel(context.Background())
	return e
}

// begin gives all that is under way this long.
func (e *ending) begin(grace time.Duration) {
	e.mu.Lock()
	e.at = time.Now().Add(grace)
	e.mu.Unlock()
	time.AfterFunc(grace, e.end)
}

// An endingContext has the deadline that its daemon has, which may come up while
// it is in use: a run of the signer looks between two steps.
type endingContext struct {
	context.Context
	ending *ending
}

func (c endingContext) Deadline() (time.Time, bool) {
	c.ending.mu.Lock()
	at := c.ending.at
	c.ending.mu.Unlock()
	deadline, ok := c.Context.Deadline()
	if at.IsZero() || ok && deadline.Before(at) {
		return deadline, ok
	}
	return at, true
}
