package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"slices"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file is about a collection whose first root needs signatures of others.
// Until it has them, nothing is trusted here, and all there is of the collection
// is its settings and a draft.

// beginCeremony stores a collection that begins with a draft.
func (a *app) beginCeremony(ctx context.Context, n *newCollection, o initOptions) error {
	first, err := repo.FirstDraft(ctx, n.Genesis, pairRing(n.pairs), a.now())
	if err != nil {
		return err
	}
	kept := trust.Draft{Draft: first, Made: a.now().UTC()}
	unlock, _, err := a.establish(ctx, n, o, func(cache *trust.Cache) error { return cache.Collection().KeepDraft(kept) })
	if err != nil {
		return err
	}
	defer unlock()
	k, err := a.desk(n.c, true) // there is nothing yet that it could be compared with
	if err != nil {
		return err
	}
	d, err := k.look(ctx, kept, true)
	if err != nil {
		return err
	}
	if d.dead != nil {
		return k.deadError(d)
	}
	drafts := &openDrafts{desk: k}
	if err := drafts.handOn(ctx, d, o.hand); err != nil {
		return err
	}
	r := newDraftResult(d)
	r.Exported = o.hand.export
	if err := a.result(r, func(w io.Writer) error { return a.printFirst(w, d, r) }); err != nil {
		return err
	}
	return handOnHint(draftError(n.Collection, d.review.Missing()), r)
}

func (a *app) printFirst(w io.Writer, d *draft, r draftResult) error {
	if _, err := fmt.Fprintf(w, "initialized %s\n", d.Collection); err != nil {
		return err
	}
	if err := a.printReview(w, d); err != nil {
		return err
	}
	return a.printHanded(w, r)
}

// othersKey reads the public key of somebody else, nil from a file that holds a
// private one or none: others tell what is wrong with that.
func (a *app) othersKey(file string) (*tuf.Key, error) {
	if file == "-" {
		return nil, nil
	}
	data, err := a.readAtMost(file, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if _, err := keys.Inspect(data); err == nil {
		return nil, nil
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil, nil
	}
	all, err := a.readPublicKeys([]string{file})
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// addOthers adds a root key whose private half is not here.
func (n *newCollection) addOthers(a *app, key tuf.Key) error {
	id := key.ID()
	if n.has(id) {
		return usage("name each key once", "key %s is given twice", id)
	}
	n.Keys[tuf.RoleRoot] = append(n.Keys[tuf.RoleRoot], key)
	return a.checkFreeKey(key, n.Collection)
}

// has reports whether a key has a role already.
func (n *newCollection) has(id string) bool {
	for _, all := range n.Keys {
		if slices.ContainsFunc(all, func(key tuf.Key) bool { return key.ID() == id }) {
			return true
		}
	}
	return false
}
