package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file keeps drafts off numbers that unfinished publishes have taken. Who
// has all keys finds that out at commit, and signs the next number. A draft's
// number is under signatures of people who are not there by then.

// free signs, under numbers that a draft can still be published with: those that
// it finds taken it adds to taken, and signs again.
func (p *Publisher) free(ctx context.Context, taken map[string]int64, sign func() (*Submission, error)) (*Submission, error) {
	for range maxJump {
		sub, err := sign()
		burned, lookErr := p.burned(ctx, err, taken)
		if lookErr != nil {
			return nil, lookErr
		}
		if !burned {
			return sub, err
		}
	}
	return nil, fmt.Errorf("make a draft: the next %d numbers are taken", maxJump)
}

// burned notes which numbers of a draft are taken, if err is a *DraftError, and
// reports whether any are.
func (p *Publisher) burned(ctx context.Context, err error, taken map[string]int64) (bool, error) {
	var made *DraftError
	if !errors.As(err, &made) {
		return false, nil
	}
	any := false
	for role, data := range made.Draft.Files {
		if role == tuf.RoleRoot {
			continue // its number cannot be skipped: what is there is published
		}
		f, err := tuf.Parse[tuf.Targets](data, maxMetadata)
		if err != nil {
			return false, err
		}
		burned, err := p.slotBurned(ctx, role, f)
		if err != nil {
			return false, err
		}
		if burned {
			any, taken[role] = true, f.Signed.Version
		}
	}
	return any, nil
}

// slotBurned reports whether the slot of a draft's file holds something that it
// cannot take over: see Review.adopt and Committer.checkAge.
func (p *Publisher) slotBurned(ctx context.Context, role string, f *tuf.File[tuf.Targets]) (bool, error) {
	key := SlotKey(p.Collection, role, f.Signed.Version)
	data, _, err := storage.Read(ctx, p.Store, key, maxMetadata)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && !isWrecked(err):
		return false, fmt.Errorf("look at %s: %w", key, err)
	}
	if payload, err := payloadOf(role, data); err != nil || !bytes.Equal(payload, f.Payload()) {
		return true, nil
	}
	info, err := storage.Stat(ctx, p.Store, key)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", key, err)
	}
	return !info.Modified.IsZero() && p.Now().Sub(info.Modified) > burnAfter, nil
}
