package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is how the keys of snapshot and timestamp change hands. Clients read
// roots first: one that has just read the old root must still be able to verify
// what it reads next, and one with the new root too. So the files in force
// around the change are signed by old and new keys, and the new root comes
// last. For a while, the grace, whoever signs next signs with both.

// HandOver replaces the keys of snapshot and timestamp, of which those now in
// force or the new ones, or both, are held by others behind the committer's
// Cosign. The publisher's keyring holds the root keys. If it is interrupted, to
// run it again completes it; where the root names these keys already the receipt
// is nil.
func (p *Publisher) HandOver(ctx context.Context, keys map[string]tuf.Key, grace time.Duration) (*Receipt, error) {
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		base, err := p.loader().Load(ctx)
		if err != nil {
			return nil, err
		}
		if !base.Published() {
			return nil, ErrNotPublished
		}
		if holds(&base.Root().Signed, keys) {
			return nil, nil // an earlier run has done it
		}
		root, err := p.nextRoot(ctx, base, func(r *tuf.Root) {
			for _, role := range slices.Sorted(maps.Keys(keys)) {
				replaceKeys(r, role, keys[role])
			}
			r.Publisher.GraceUntil = p.Now().Add(grace).UTC().Truncate(time.Second)
		})
		if err != nil {
			return nil, err
		}
		sub := &Submission{Collection: p.Collection, Files: map[string][]byte{tuf.RoleRoot: root.Bytes()}}
		receipt, err := p.Commit(ctx, base, sub)
		if !errors.Is(err, storage.ErrConflict) {
			return receipt, err
		}
	}
	return nil, fmt.Errorf("hand over keys: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

// nextRoot makes the root after base's, signed by the old and the new root keys.
func (p *Publisher) nextRoot(ctx context.Context, base *View, edit func(*tuf.Root)) (*tuf.File[tuf.Root], error) {
	old := base.Root()
	r := old.Signed
	r.Keys, r.Roles = maps.Clone(r.Keys), maps.Clone(r.Roles)
	r.Version++
	r.Publisher.Parent = old.SHA256()
	r.Publisher.GraceUntil = time.Time{}
	edit(&r)
	r.Expires = p.Now().Add(lifetime(&r, tuf.RoleRoot))
	f, err := tuf.New(r)
	if err != nil {
		return nil, err
	}
	for _, by := range []*tuf.Root{&old.Signed, &r} {
		if err := sign(ctx, p.Keys, tuf.RoleRoot, by.Roles[tuf.RoleRoot], by.Keys, f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// holds reports whether each role has just this key.
func holds(r *tuf.Root, keys map[string]tuf.Key) bool {
	for role, key := range keys {
		if ids := r.Roles[role].KeyIDs; len(ids) != 1 || ids[0] != key.ID() {
			return false
		}
	}
	return true
}

// replaceKeys gives a role one key, and forgets keys that no role has any more.
func replaceKeys(r *tuf.Root, role string, key tuf.Key) {
	id := key.ID()
	r.Keys[id] = key
	r.Roles[role] = tuf.Role{KeyIDs: []string{id}, Threshold: 1, Unknown: r.Roles[role].Unknown}
	maps.DeleteFunc(r.Keys, func(id string, _ tuf.Key) bool {
		for _, other := range r.Roles {
			if slices.Contains(other.KeyIDs, id) {
				return false
			}
		}
		return true
	})
}
