package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"publisher/internal/parallel"
	"publisher/storage"
)

// Garbage lists parts, receipts and drafts that were written before then. What a
// submission that waits refers to is none, and neither are keys.
func (b Inbox) Garbage(ctx context.Context, before time.Time) (Garbage, error) {
	wanted, err := b.wanted(ctx)
	if err != nil {
		return nil, err
	}
	var garbage Garbage
	for _, kind := range []string{"parts", "receipts", "drafts"} {
		for e, err := range b.Store.List(ctx, b.Collection+"/"+kind+"/") {
			if err != nil {
				return nil, fmt.Errorf("list %s of the inbox: %w", kind, err)
			}
			if !wanted[e.Key] && !e.Modified.IsZero() && e.Modified.Before(before) {
				garbage = append(garbage, e)
			}
		}
	}
	return garbage, nil
}

// wanted is the parts that submissions wait with.
func (b Inbox) wanted(ctx context.Context) (map[string]bool, error) {
	keys := map[string]bool{}
	for name, err := range b.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		data, _, err := storage.Read(ctx, b.Store, SubmissionKey(b.Collection, name), maxManifest)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, storage.ErrTooLarge) {
			continue // answered meanwhile, or about to be refused
		}
		if err != nil {
			return nil, err
		}
		m, err := b.manifest(data)
		if err != nil {
			continue // it will be refused
		}
		for _, sum := range m.Parts {
			keys[PartKey(b.Collection, sum)] = true
		}
	}
	return keys, nil
}

// Remove removes what Garbage has found, and returns how much of it is gone.
// Removing is told of each object.
func (b Inbox) Remove(ctx context.Context, garbage Garbage, removing func()) (int, error) {
	d, ok := b.Store.(storage.Deleter)
	if !ok {
		return 0, errors.New("the inbox cannot delete objects")
	}
	var removed atomic.Int64
	err := parallel.Each(ctx, removeAtOnce, len(garbage), func(ctx context.Context, i int) error {
		info, err := storage.Stat(ctx, b.Store, garbage[i].Key)
		if err == nil && info.Modified.After(garbage[i].Modified.Add(time.Second)) {
			return nil // another one by now; listings and answers are not equally exact
		}
		if err == nil {
			err = d.Delete(ctx, garbage[i].Key, info.Version)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrConflict):
			return nil
		case err != nil:
			return fmt.Errorf("remove %s: %w", garbage[i].Key, err)
		}
		removed.Add(1)
		removing()
		return nil
	})
	return int(removed.Load()), err
}
