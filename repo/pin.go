package repo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"publisher/repo/tuf"
)

// A Pin is what somebody who trusts a collection demands of its roots, beyond
// that each follows from the one trusted before. Of its parts all that are set
// must hold.
//
// Roots and Keys name where trust starts: the newest root must be, or follow
// from, one that they mean, so that rotations do not break them. CAs is about
// the newest root itself: a CA that vouches no longer ends the trust.
type Pin struct {
	// Roots is the SHA-256 of root files, in hex, one of which is meant.
	Roots []string

	// Keys is IDs of root keys. A root is meant that Threshold of them, or one
	// if that is zero, have signed.
	Keys      []string
	Threshold int

	// CAs is who vouches for a root key of the newest root: see certified.
	CAs *x509.CertPool
}

// A PinError reports roots that verify, but are not what the pin demands.
type PinError struct {
	Collection string
	Err        error
}

func (e *PinError) Error() string {
	return fmt.Sprintf("the root of %s contradicts its pin: %v", e.Collection, e.Err)
}

func (e *PinError) Unwrap() error { return e.Err }

// Roots follows the roots from the trusted one to the newest, into the cache,
// and checks them against the pin. Expiry is of no account. What it returns
// begins with the trusted root.
func (l *Loader) Roots(ctx context.Context) ([]*tuf.File[tuf.Root], error) {
	v, err := l.begin()
	if err != nil {
		return nil, err
	}
	if err := v.walkRoots(ctx); err != nil {
		return nil, err
	}
	return v.Roots, v.checkPin(ctx)
}

// checkPin checks the newest root, and those that it follows from.
func (v *View) checkPin(ctx context.Context) error {
	pin := v.loader.Pin
	if pin == nil {
		return nil
	}
	if len(pin.Roots) > 0 {
		if err := v.checkAnchor(ctx, pin.means, "none of the roots that it follows from has a SHA-256 that is pinned"); err != nil {
			return err
		}
	}
	if len(pin.Keys) > 0 {
		if err := v.checkAnchor(ctx, pin.signed, fmt.Sprintf("none of the roots that it follows from is signed by %d of the keys that are pinned", max(1, pin.Threshold))); err != nil {
			return err
		}
	}
	if pin.CAs == nil {
		return nil
	}
	if err := certified(v.Root(), v.loader.Collection, pin.CAs, v.loader.Now); err != nil {
		return v.pinned(err)
	}
	return nil
}

func (v *View) pinned(err error) error {
	return unverified(SlotName(tuf.RoleRoot, v.Root().Signed.Version), &PinError{v.loader.Collection, err})
}

// means reports whether a root is one whose hash is pinned.
func (p *Pin) means(root *tuf.File[tuf.Root]) bool {
	return slices.Contains(p.Roots, root.SHA256())
}

// signed reports whether enough pinned keys have signed a root as its root keys.
func (p *Pin) signed(root *tuf.File[tuf.Root]) bool {
	var ids []string
	for _, id := range root.Signed.Roles[tuf.RoleRoot].KeyIDs {
		// A root of another maker may list a key under another name.
		if key := root.Signed.Keys[id]; slices.Contains(p.Keys, id) && key.ID() == id {
			ids = append(ids, id)
		}
	}
	return len(root.SignedBy(ids, root.Signed.Keys, false)) >= max(1, p.Threshold)
}

// checkAnchor looks for a root that is meant, from the newest back to the first.
// What comes before the newest proves nothing by itself: anybody can write a root
// that names the keys of the next. But from one that is meant, the next ones
// follow.
func (v *View) checkAnchor(ctx context.Context, meant func(*tuf.File[tuf.Root]) bool, otherwise string) error {
	root := v.Root()
	var fetched []*tuf.File[tuf.Root]
	for range maxRoots {
		if meant(root) {
			return v.keepAll(fetched)
		}
		before, stored, err := v.predecessor(ctx, root)
		if err != nil {
			return err
		}
		if before == nil {
			break
		}
		if !stored {
			fetched = append(fetched, before)
		}
		root = before
	}
	return v.pinned(errors.New(otherwise))
}

// keepAll remembers roots that turned out to be good.
func (v *View) keepAll(roots []*tuf.File[tuf.Root]) error {
	for _, root := range roots {
		if err := v.keep(SlotName(tuf.RoleRoot, root.Signed.Version), root.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// predecessor is a root that another follows from, from the cache or else from
// the source; nil if there is none.
func (v *View) predecessor(ctx context.Context, root *tuf.File[tuf.Root]) (before *tuf.File[tuf.Root], stored bool, err error) {
	n := root.Signed.Version - 1
	if n < 1 {
		return nil, false, nil
	}
	name := SlotName(tuf.RoleRoot, n)
	data, err := v.loader.Cache.Get(name)
	if stored = err == nil; !stored {
		data, _, err = v.read(ctx, name, MaxRoot)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	before, err = tuf.Parse[tuf.Root](data, MaxRoot)
	if err != nil || before.Signed.Version != n || verifySuccessor(before, root) != nil {
		return nil, false, nil
	}
	return before, stored, nil
}
