package repo

import (
	"context"
	"errors"

	"publisher/repo/tuf"
)

// This file is about a rotation whose root came first, because old keys were
// lost, and which was interrupted there. No client takes anything until the rest
// has followed, and who publishes it must be able to read what there was.

// verifyPublished is verifyTop for a file that is published. For those who will
// write, it may be one that the root before verifies, if the newest one was to
// come first, as long as none was seen here that the newest verifies.
func verifyPublished[T tuf.Content](ctx context.Context, v *View, role string, f *tuf.File[T]) error {
	err := verifyTop(v.Root(), role, f)
	if err == nil || !v.loader.TimestampFirst || !v.Root().Signed.Publisher.RootFirst {
		return err
	}
	if seen := parseCached[T](v.loader.Cache, role+".json", maxMetadata); seen != nil && verifyTop(v.Root(), role, seen) == nil {
		return err
	}
	before, chainErr := v.rootBefore(ctx, v.Root())
	if chainErr != nil {
		return errors.Join(err, chainErr)
	}
	if verifyTop(before, role, f) != nil {
		return err
	}
	v.lagging[role] = true
	return nil
}

// behind reports whether something is published that the newest root does not
// verify.
func (v *View) behind(ctx context.Context) (bool, error) {
	if !v.Published() || !v.Root().Signed.Publisher.RootFirst {
		return false, nil
	}
	if _, err := v.Role(ctx, tuf.RoleTargets); err != nil {
		return false, err
	}
	return len(v.lagging) > 0, nil
}
