package repo

import (
	"context"
	"fmt"
	"slices"

	"publisher/repo/tuf"
)

// Chain is all roots of the collection, from the first to the newest, whichever
// of them this view was trusted from. Each names the one before it by its hash,
// so that none can be exchanged for another.
func (v *View) Chain(ctx context.Context) ([]*tuf.File[tuf.Root], error) {
	all := []*tuf.File[tuf.Root]{v.Root()}
	for next := v.Root(); next.Signed.Version > 1; {
		before, err := v.rootBefore(ctx, next)
		if err != nil {
			return nil, err
		}
		all, next = append(all, before), before
	}
	slices.Reverse(all)
	return all, nil
}

// NamedKeys is the IDs of all keys that a root has ever named. What was replaced
// once may have been for a reason: none of them may come back.
func (v *View) NamedKeys(ctx context.Context) (map[string]bool, error) {
	all, err := v.Chain(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for the keys of earlier roots: %w", err)
	}
	named := map[string]bool{}
	for _, root := range all {
		for id := range root.Signed.Keys {
			named[id] = true
		}
	}
	return named, nil
}

// rootBefore is the root that another one was made from, from the cache or the
// store.
func (v *View) rootBefore(ctx context.Context, next *tuf.File[tuf.Root]) (*tuf.File[tuf.Root], error) {
	name := SlotName(tuf.RoleRoot, next.Signed.Version-1)
	want := next.Signed.Publisher.Parent
	data, err := v.loader.Cache.Get(name)
	if err != nil || hexSum(data) != want {
		if data, _, err = v.read(ctx, name, MaxRoot); err != nil {
			return nil, err
		}
		if hexSum(data) != want {
			return nil, unverified(name, fmt.Errorf("it is not the one that root %d was made from", next.Signed.Version))
		}
		if err := v.keep(name, data); err != nil {
			return nil, err
		}
	}
	root, err := tuf.Parse[tuf.Root](data, MaxRoot)
	if err == nil && root.Signed.Version != next.Signed.Version-1 {
		err = fmt.Errorf("it says version %d", root.Signed.Version)
	}
	if err != nil {
		return nil, unverified(name, err)
	}
	return root, nil
}
