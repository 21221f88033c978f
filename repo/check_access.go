package repo

import (
	"context"
	"errors"
	"fmt"

	"publisher/storage"
)

// The most files that a check fails to read before it gives up: so many in a row
// at its start, and so many in all.
const (
	maxMute   = 3
	maxDenied = 20
)

// errGaveUp ends a check that has found out too little to go on.
var errGaveUp = errors.New("too many files cannot be read")

// get reads from the source, and remembers that it has answered.
func (c *Checker) get(ctx context.Context, key string, max int64) ([]byte, error) {
	data, _, err := storage.Read(ctx, c.Source, key, max)
	if err == nil {
		c.heard()
	}
	return data, err
}

func (c *Checker) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
}

// unreadable notes a file that could not be had: nothing is known of it, and the
// check goes on. The error says that it does not: ctx has ended, nothing at all
// can be read, or too little.
func (c *Checker) unreadable(ctx context.Context, file string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied++
	switch {
	case !c.answered && c.denied >= maxMute:
		return err
	case c.denied > maxDenied:
		return errGaveUp
	}
	c.found.Problems = append(c.found.Problems, Problem{File: file, What: err.Error(), Access: true})
	c.cause = err
	return nil
}

// gaveUp is what becomes of the error of a step: what was found until then counts.
func (c *Checker) gaveUp(err error) error {
	if !errors.Is(err, errGaveUp) {
		return err
	}
	c.found.Problems = append(c.found.Problems, Problem{
		File: "metadata", What: fmt.Sprintf("more than %d files cannot be read, and the rest was not looked at", maxDenied), Access: true,
	})
	return nil
}
