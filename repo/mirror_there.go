package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file looks at both sides before anything is copied: the roots of the
// source, and what the mirror has.

// readRoots reads every root of the source. Those before the trusted one are
// proven by their successors.
func (c *copying) readRoots(ctx context.Context) error {
	for n := c.view.Root().Signed.Version; n >= 1; n-- {
		root, err := c.readRoot(ctx, n)
		if errors.Is(err, fs.ErrNotExist) && c.mayLack(n) {
			break
		}
		if err != nil {
			return unverified(SlotName(tuf.RoleRoot, n), err)
		}
		c.roots = append(c.roots, root)
	}
	slices.Reverse(c.roots)
	first := c.roots[0]
	for _, trusted := range c.view.Roots {
		n := trusted.Signed.Version
		if !bytes.Equal(c.roots[n-first.Signed.Version].Payload(), trusted.Payload()) {
			return unverified(SlotName(tuf.RoleRoot, n), errors.New("it is not the one that is trusted"))
		}
	}
	if err := verifyTop(first, tuf.RoleRoot, first); err != nil {
		return unverified(SlotName(tuf.RoleRoot, first.Signed.Version), err)
	}
	return nil
}

// mayLack reports whether the source need not have a root: other programs do not
// promise to keep those before the one that is trusted.
func (c *copying) mayLack(n int64) bool {
	return n < c.view.Roots[0].Signed.Version && isForeign(&c.view.Root().Signed)
}

// readRoot reads the root that comes before those that were read.
func (c *copying) readRoot(ctx context.Context, n int64) (*tuf.File[tuf.Root], error) {
	data, _, err := storage.Read(ctx, c.Source, SlotKey(c.collection(), tuf.RoleRoot, n), MaxRoot)
	if err != nil {
		return nil, err
	}
	root, err := tuf.Parse[tuf.Root](data, MaxRoot)
	switch {
	case err != nil:
		return nil, err
	case root.Signed.Version != n:
		return nil, fmt.Errorf("it says version %d", root.Signed.Version)
	case len(c.roots) > 0:
		return root, verifySuccessor(root, c.roots[len(c.roots)-1])
	}
	return root, nil
}

// compareRoots finds out which of the roots the mirror has. Any other root in
// such a slot, or behind the newest, means that it is not a mirror of this source,
// or is ahead of it.
func (c *copying) compareRoots(ctx context.Context) error {
	for _, root := range c.roots {
		n := root.Signed.Version
		data, _, err := storage.Read(ctx, c.Store, SlotKey(c.collection(), tuf.RoleRoot, n), MaxRoot)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.lacks = append(c.lacks, root)
		case err == nil && bytes.Equal(data, root.Bytes()):
			c.newest = root
		case err == nil, errors.Is(err, storage.ErrTooLarge):
			return otherSlot(tuf.RoleRoot, n)
		case errors.Is(err, storage.ErrDamaged):
			return &DamagedError{SlotKey(c.collection(), tuf.RoleRoot, n), err}
		default:
			return err
		}
	}
	after := c.view.Root().Signed.Version + 1
	_, err := storage.Stat(ctx, c.Store, SlotKey(c.collection(), tuf.RoleRoot, after))
	if err == nil {
		return fmt.Errorf("%w: it has root %d, the source has %d", ErrAhead, after, after-1)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// published reads the timestamp that the mirror has.
func (c *copying) published(ctx context.Context) error {
	key := TimestampKey(c.collection())
	data, version, err := storage.Read(ctx, c.Store, key, MaxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil && !isWrecked(err) {
		return err
	}
	if err == nil {
		c.there, err = tuf.Parse[tuf.Timestamp](data, MaxTimestamp)
	}
	if err != nil {
		return &DamagedError{key, err}
	}
	c.version = version
	return c.checkAhead()
}

// checkAhead refuses to take the mirror back. Versions do not tell where the
// newest root of the source verifies the timestamp of the mirror no longer, but
// one before it does: what clients then forget is replaced, as a recovery from a
// fast-forward attack demands; TUF specification, section 5.3.11. What no root
// verifies says nothing, not even that it is older.
func (c *copying) checkAhead() error {
	ours, there := c.view.Timestamp, c.there
	same := bytes.Equal(there.Payload(), ours.Payload())
	if verifyTop(c.view.Root(), tuf.RoleTimestamp, there) != nil {
		c.restarted = c.forgotten()
		if c.restarted || same {
			return nil
		}
		return &DamagedError{TimestampKey(c.collection()), errors.New("no root of the source verifies it, so that nobody can tell which of the two is newer")}
	}
	switch now, before := ours.Signed.Version, there.Signed.Version; {
	case before > now:
		return fmt.Errorf("%w: it has timestamp %d, the source has %d", ErrAhead, before, now)
	case before == now && !same:
		return fmt.Errorf("%w: its timestamp %d is another", ErrOther, before)
	}
	return nil
}

// forgotten reports whether the newest root does not verify the timestamp of the
// mirror because its keys were replaced: one before it does, and those of its keys
// that have signed have done so well. While old and new keys sign together, a
// damaged signature is none of that.
func (c *copying) forgotten() bool {
	root := c.view.Root().Signed
	for _, s := range c.there.Signatures {
		if slices.Contains(root.Roles[tuf.RoleTimestamp].KeyIDs, s.KeyID) && len(c.there.SignedBy([]string{s.KeyID}, root.Keys, false)) == 0 {
			return false
		}
	}
	return slices.ContainsFunc(c.roots, func(root *tuf.File[tuf.Root]) bool {
		return verifyTop(root, tuf.RoleTimestamp, c.there) == nil
	})
}

// order tells whether the roots come before the timestamp. Clients that do not
// see the new roots yet must be able to verify what is there beside the old one,
// or those that do what was there before.
func (c *copying) order(ctx context.Context) (rootsFirst bool, err error) {
	if c.there == nil || c.newest == nil || c.newest == c.roots[len(c.roots)-1] {
		return true, nil // nobody reads what has no timestamp, or no root
	}
	if c.verifies(c.newest) {
		return false, nil
	}
	c.done.Moved, err = c.moved(ctx)
	return true, err
}

// verifies reports whether an older root verifies what is about to be written.
func (c *copying) verifies(root *tuf.File[tuf.Root]) bool {
	return verifyTop(root, tuf.RoleTimestamp, c.view.Timestamp) == nil &&
		verifyTop(root, tuf.RoleSnapshot, c.view.Snapshot) == nil &&
		verifyTop(root, tuf.RoleTargets, c.view.Targets[tuf.RoleTargets]) == nil
}

// moved reports whether the newest root verifies nothing of what the mirror has
// published any more, or not all of it.
func (c *copying) moved(ctx context.Context) (bool, error) {
	if c.restarted {
		return true, nil
	}
	snapshot, err := verifiedThere[tuf.Snapshot](ctx, c, tuf.RoleSnapshot, c.there.Signed.Meta["snapshot.json"])
	if err != nil || snapshot == nil {
		return true, err
	}
	targets, err := verifiedThere[tuf.Targets](ctx, c, tuf.RoleTargets, snapshot.Signed.Meta["targets.json"])
	return targets == nil, err
}

// verifiedThere is a top-level role's file of the mirror, nil if the newest root
// does not verify it, or it is not there.
func verifiedThere[T tuf.Content](ctx context.Context, c *copying, role string, meta tuf.MetaFile) (*tuf.File[T], error) {
	data, _, err := storage.Read(ctx, c.Store, SlotKey(c.collection(), role, meta.Version), maxMetadata)
	if errors.Is(err, fs.ErrNotExist) || isWrecked(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := tuf.Parse[T](data, maxMetadata)
	if err != nil || verifyTop(c.view.Root(), role, f) != nil {
		return nil, nil
	}
	return f, nil
}
