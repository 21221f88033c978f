package repo

import (
	"context"
	"errors"
	"io/fs"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is what a Checker asks of what another program has made: that it
// verifies, is whole, and is what its listings say. It broke no promise by leaving
// out what TUF does not ask for.

// profile is err, which says how something departs from our profile, if that was
// promised.
func (c *Checker) profile(err error) error {
	if c.general {
		return nil
	}
	return err
}

// parseChecked parses a file, which the error may come with if it is the form
// alone that is wrong.
func parseChecked[T tuf.Content](c *Checker, data []byte, max int64) (*tuf.File[T], error) {
	f, err := tuf.Parse[T](data, max)
	if err != nil {
		return nil, err
	}
	return f, c.profile(checkForm(f, c.Collection))
}

// firstRoot is the root with which the chain begins. Of another program's it is
// the last one before the trusted one that has one before it no more: nobody can
// come from those.
func (c *Checker) firstRoot(ctx context.Context, trusted *tuf.File[tuf.Root]) int64 {
	n := trusted.Signed.Version
	for c.general && n > 1 {
		_, err := storage.Stat(ctx, c.Source, SlotKey(c.Collection, tuf.RoleRoot, n-1))
		if errors.Is(err, fs.ErrNotExist) {
			return n
		}
		n-- // if it cannot be read, its check says so
	}
	return 1
}
