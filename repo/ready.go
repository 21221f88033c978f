package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"publisher/internal/parallel"
)

// Effective is the additions of targets of a changelist that no later change of
// it supersedes.
func Effective(changes []Change) []Change {
	last := map[[2]string]int{}
	for i, c := range changes {
		if c.Type != TypeTarget {
			continue
		}
		last[[2]string{c.Role, c.Name}] = i
	}
	var all []Change
	for i, c := range changes {
		if c.Type == TypeTarget && c.Action == Add && last[[2]string{c.Role, c.Name}] == i {
			all = append(all, c)
		}
	}
	return all
}

// Ready reports what is in the way of uploading what changes add: an object that
// is to be in the store and is not, or is another one, a source that is gone or
// has changed. It writes nothing. Sources are read only where the store lacks
// what they have.
func (p *Publisher) Ready(ctx context.Context, changes []Change) ([]*ChangeError, error) {
	adds := Effective(changes)
	problems := make([]error, len(adds))
	err := parallel.Each(ctx, uploads, len(adds), func(ctx context.Context, i int) (err error) {
		problems[i], err = p.ready(ctx, adds[i])
		return err
	})
	var found []*ChangeError
	for i, problem := range problems {
		if problem != nil {
			found = append(found, &ChangeError{Change: adds[i], Err: problem})
		}
	}
	return found, err
}

// ready tells what is wrong with a change from what keeps it from finding out.
func (p *Publisher) ready(ctx context.Context, c Change) (problem, err error) {
	_, wrong, err := compareObject(ctx, p.Store, p.key(c), c.Name, c.Target, false)
	switch {
	case err == nil:
		return wrong, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("look at target %q: %w", c.Name, err)
	case c.Source == "":
		return fmt.Errorf("it is not in the store: %w", err), nil
	}
	body, err := p.Open(c)
	if err != nil {
		return err, nil
	}
	defer body.Close()
	return CheckSource(c, body), nil
}

// CheckSource compares the bytes of an addition with what was staged: the error
// is ErrFileChanged if they are others.
func CheckSource(c Change, body io.Reader) error {
	d, err := NewDigest(c.Target.Hashes)
	if err != nil {
		return err
	}
	if _, err := io.Copy(d, io.LimitReader(body, c.Target.Length+1)); err != nil {
		return err
	}
	if d.Len() != c.Target.Length || d.Check() != nil {
		return ErrFileChanged
	}
	return nil
}
