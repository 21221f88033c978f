package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// inside is what the credentials at hand can see and do. That the store compares
// before it swaps is found out first: a later check writes on condition.
var inside = []check{
	{"compare-and-swap", needsPlace, compareAndSwap},
	{"what is new is seen", needsURLAndStore, newIsSeen},
	{"garbage", needsStore, garbage},
	{"metadata is the signer's", needsBoth, writesMetadata},
	{"inbox is apart", needsInboxAndStore, inboxApart},
	{"inbox is private", needsAnybody, inboxPrivate},
	{"keys are the signer's", needsBounds, keysAreApart},
	{"other inboxes", needsBounds, otherInboxes},
	{"signer answers", needsSigner, signerAnswers},
	{"submissions are answered", needsInbox, answered},
}

func needsBoth(p *Patient) string {
	if why := needsStore(p); why != "" {
		return why
	}
	return needsOthers(p)
}

// compareAndSwap lets writers race.
func compareAndSwap(ctx context.Context, p *Patient, f *findings) error {
	err := storage.Probe(ctx, p.store, repo.ProbeKey(p.Collection, p.Unique))
	switch {
	case errors.Is(err, storage.ErrNoCompareAndSwap):
		f.add(Error, err.Error(), "of two who publish at once one is told that it worked and loses everything",
			"use a store that has it; with a single publisher: publisher init --single-writer")
	case errors.Is(err, fs.ErrPermission) && p.Inbox != nil:
		return moot("these credentials may not write metadata, nor need they: there is an online signer")
	case err != nil:
		return err
	default:
		p.swaps = true
	}
	return nil
}

func storeClock(ctx context.Context, p *Patient, f *findings) error {
	info, err := storage.Stat(ctx, p.store, repo.TimestampKey(p.Collection))
	if err != nil {
		return err
	}
	if info.Date.IsZero() {
		return moot("the store does not say what time it is")
	}
	p.compareClocks(f, "the store", info.Date)
	p.skewed = len(f.all) > 0
	return nil
}

// garbage is what nothing refers to, and what nobody knows.
func garbage(ctx context.Context, p *Patient, f *findings) error {
	if p.skewed {
		return moot("by a clock that is off nothing can be said of the age of objects")
	}
	if err := interrupted(ctx, p, f); err != nil {
		return err
	}
	if p.inboxAway != "" {
		return moot("what waits in the inbox may need anything: " + p.inboxAway)
	}
	if p.foreign() {
		return moot("another program has made it, and knows what it needs no more")
	}
	c := &repo.Collector{
		Store: p.store, Collection: p.Collection, Cache: repo.NewMemoryCache(p.Trusted),
		Now: func() time.Time { return p.Now }, Keep: repo.DefaultKeep, Told: true, Pending: p.Pending,
	}
	found, err := c.Survey(ctx)
	if _, cut := errors.AsType[*repo.CutError](err); cut {
		return moot(err.Error() + ": if it is a mirror, publisher mirror SRC DST --prune --dry-run tells")
	}
	if err != nil {
		return err
	}
	for _, e := range found.Strangers {
		f.add(Warning, fmt.Sprintf("%s is no name that anything of a collection has", e.Key), "somebody or something else writes here, and gc leaves it alone",
			"find out who has put it there, and remove it by the means of the store")
	}
	if n := len(found.Lost); n > 0 {
		f.add(Warning, fmt.Sprintf("%d objects, %d bytes, that nothing refers to; %d of them old enough for gc", n, found.Lost.Bytes(), len(found.Old)),
			"publishes were interrupted, or somebody else writes here; they cost money", "publisher gc "+p.Collection+" --dry-run; what is younger goes when it is 30 days old")
	}
	return nil
}

// interrupted looks for the mark of a collection that has not ended.
func interrupted(ctx context.Context, p *Patient, f *findings) error {
	info, err := storage.Stat(ctx, p.store, repo.GarbageKey(p.Collection))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case p.Now.Sub(info.Modified) > time.Hour:
		f.add(Error, "a garbage collection was interrupted", "what it was about to remove cannot be published again before it is done", "publisher gc "+p.Collection)
	}
	return nil
}

// mayWrite reports whether the credentials may write an object that is there:
// the condition fails for those who may, and for others the request is refused
// before. It is for stores that are known to heed the condition: others would
// replace the object, if by its own bytes.
func mayWrite(ctx context.Context, s storage.Store, key string) (bool, error) {
	data, _, err := storage.Read(ctx, s, key, repo.MaxRoot)
	if err != nil {
		return false, err
	}
	_, err = s.Put(ctx, key, bytes.NewReader(data), storage.Absent)
	switch {
	case err == nil, errors.Is(err, storage.ErrConflict):
		return true, nil
	case errors.Is(err, fs.ErrPermission):
		return false, nil
	}
	return false, err
}

func writesMetadata(ctx context.Context, p *Patient, f *findings) error {
	if !p.swaps {
		return moot("the store has not shown that it heeds conditions: see compare-and-swap")
	}
	v, c := p.view, p.Collection
	for _, key := range []string{
		repo.TimestampKey(c), repo.SlotKey(c, tuf.RoleRoot, 1), repo.SlotKey(c, tuf.RoleSnapshot, v.Snapshot.Signed.Version),
		repo.SlotKey(c, tuf.RoleTargets, v.Targets[tuf.RoleTargets].Signed.Version),
	} {
		may, err := mayWrite(ctx, p.store, key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if may {
			f.add(Warning, "these credentials may write metadata: "+key, "with an online signer nobody else has to: whoever gets hold of them can hide updates, or destroy the collection",
				"give publishers the policy for publishers: see docs/operations.md")
		}
	}
	return nil
}
