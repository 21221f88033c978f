package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"publisher/internal/parallel"
	"publisher/storage"
)

// Garbage lists parts, receipts and drafts that were written before then. What
// belongs to a submission that is still there is none, and neither are keys.
func (b Inbox) Garbage(ctx context.Context, before time.Time) (Garbage, error) {
	wanted, err := b.wanted(ctx)
	if err != nil {
		return nil, err
	}
	var garbage Garbage
	for _, kind := range []string{"parts", "receipts"} {
		for e, err := range b.Store.List(ctx, b.Collection+"/"+kind+"/") {
			if err != nil {
				return nil, fmt.Errorf("list %s of the inbox: %w", kind, err)
			}
			if !wanted[e.Key] && !e.Modified.IsZero() && e.Modified.Before(before) {
				garbage = append(garbage, e)
			}
		}
	}
	drafts, err := b.oldDrafts(ctx, before)
	return append(garbage, drafts...), err
}

// oldDrafts is the objects of drafts to which nothing has come since then: a
// draft goes as a whole.
func (b Inbox) oldDrafts(ctx context.Context, before time.Time) (Garbage, error) {
	var all Garbage
	young := map[string]bool{}
	draftOf := func(key string) string {
		id, _, _ := strings.Cut(strings.TrimPrefix(key, DraftsDir(b.Collection)), "/")
		return id
	}
	for e, err := range b.Store.List(ctx, DraftsDir(b.Collection)) {
		if err != nil {
			return nil, fmt.Errorf("list drafts of the inbox: %w", err)
		}
		if all = append(all, e); e.Modified.IsZero() || !e.Modified.Before(before) {
			young[draftOf(e.Key)] = true
		}
	}
	return slices.DeleteFunc(all, func(e storage.Entry) bool { return young[draftOf(e.Key)] }), nil
}

// Pending is the role files of submissions that wait, and of shared drafts. What
// cannot be read is left out: it will be refused.
func (b Inbox) Pending(ctx context.Context) ([]map[string][]byte, error) {
	var all []map[string][]byte
	for name, err := range b.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		sub, err := b.Submission(ctx, name)
		var refused *Rejection
		if err != nil && !errors.As(err, &refused) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if sub != nil {
			all = append(all, sub.Files)
		}
	}
	ids, err := b.SharedDrafts(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		d, err := b.SharedDraft(ctx, id)
		switch {
		case err == nil:
			all = append(all, d.Files)
		case ctx.Err() != nil:
			return nil, err
		}
	}
	return all, nil
}

// wanted is the parts that submissions wait with, and the receipts of those that
// are answered and could not be cleared: without it, such a one would be taken
// for a new one, and what was refused be published.
func (b Inbox) wanted(ctx context.Context) (map[string]bool, error) {
	keys := map[string]bool{}
	for name, err := range b.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		data, _, err := storage.Read(ctx, b.Store, SubmissionKey(b.Collection, name), maxManifest)
		if errors.Is(err, fs.ErrNotExist) || isWrecked(err) {
			continue // answered meanwhile, or about to be refused
		}
		if err != nil {
			return nil, err
		}
		keys[ReceiptKey(b.Collection, hexSum(data))] = true
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

// Remove removes what Garbage has found, as far as it still is garbage: that may
// have been a while ago, and since then somebody may have left or signed
// something. Before is as it was there. It returns how much is gone; removing is
// told of each object.
func (b Inbox) Remove(ctx context.Context, garbage Garbage, before time.Time, removing func()) (int, error) {
	d, ok := b.Store.(storage.Deleter)
	if !ok {
		return 0, errors.New("the inbox cannot delete objects")
	}
	still, err := b.Garbage(ctx, before)
	if err != nil {
		return 0, err
	}
	garbage = garbage.among(still)
	var removed atomic.Int64
	err = parallel.Each(ctx, removeAtOnce, len(garbage), func(ctx context.Context, i int) error {
		gone, err := b.remove(ctx, d, garbage[i])
		if gone {
			removed.Add(1)
			removing()
		}
		return err
	})
	return int(removed.Load()), err
}

// remove reports whether an object is gone by this.
func (b Inbox) remove(ctx context.Context, d storage.Deleter, e storage.Entry) (bool, error) {
	info, err := storage.Stat(ctx, b.Store, e.Key)
	if err == nil && info.Modified.After(e.Modified.Add(time.Second)) {
		return false, nil // another one by now; listings and answers are not equally exact
	}
	if err == nil {
		err = d.Delete(ctx, e.Key, info.Version)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("remove %s: %w", e.Key, err)
	}
	return true, nil
}
