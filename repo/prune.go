package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Pruner removes from a mirror what it has no use for any more. It signs nothing
// and marks nothing: nobody publishes to a mirror. Copies to it are not to run at
// the same time, save the one that it belongs to. The store must be a
// storage.Deleter.
type Pruner struct {
	Store      storage.Store
	Collection string
	Now        time.Time
	Told       bool          // as a Collector has it
	Keep       time.Duration // at least MinKeep
	Removing   func()        // if set, is told of every object that is gone
}

// Find lists what the source does not publish any more, and nobody finds in the
// mirror who has read of a version that was in force there within Keep. Roots stay,
// and so does what has another name than the layout gives. It changes nothing; v is
// what Mirror.Load has verified. The error is a *VerifyError for a mirror that is
// damaged: nobody can tell what belongs to it.
func (p *Pruner) Find(ctx context.Context, v *View) (Garbage, error) {
	return p.collector().find(ctx, func(ctx context.Context) (map[string]bool, error) { return p.reach(ctx, v) })
}

// Remove removes what Find has found before v was copied, as far as it still is
// garbage, and returns how many objects are gone. To run both again after an error
// goes on where it stopped.
func (p *Pruner) Remove(ctx context.Context, v *View, garbage Garbage) (int, error) {
	reached, err := p.reach(ctx, v)
	if err != nil {
		return 0, err
	}
	c := p.collector()
	var removed atomic.Int64
	err = parallel.Each(ctx, removeAtOnce, len(garbage), func(ctx context.Context, i int) error {
		if reached[garbage[i].Key] {
			return nil
		}
		gone, err := c.removeOld(ctx, garbage[i].Key)
		if gone {
			removed.Add(1)
		}
		return err
	})
	return int(removed.Load()), err
}

func (p *Pruner) collector() *Collector {
	return &Collector{
		Store: p.Store, Collection: p.Collection, Told: p.Told, Keep: p.Keep,
		Now: func() time.Time { return p.Now }, Removing: p.Removing,
	}
}

// reach is every key of the mirror that v leads to, or a version that was in force
// there within Keep.
func (p *Pruner) reach(ctx context.Context, v *View) (map[string]bool, error) {
	r := &reacher{collector: p.collector(), keys: map[string]bool{}, seen: map[string]bool{}}
	r.view(v)
	versions, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range versions {
		if err := p.reachSnapshot(ctx, r, n); err != nil {
			return nil, err
		}
	}
	return r.keys, nil
}

// view follows what is loaded of one that is not in the store yet.
func (r *reacher) view(v *View) {
	collection := r.collector.Collection
	r.keys[SlotKey(collection, tuf.RoleSnapshot, v.Snapshot.Signed.Version)] = true
	for name, meta := range v.Snapshot.Signed.Meta {
		r.keys[SlotKey(collection, strings.TrimSuffix(name, ".json"), meta.Version)] = true
	}
	for _, f := range v.Targets {
		r.targets(f)
	}
}

// inForce is the versions of snapshots that may have been in force in the mirror
// within Keep. A copy writes the snapshot just before the timestamp that names it:
// one was in force from then until the next one came.
func (p *Pruner) inForce(ctx context.Context) ([]int64, error) {
	named, err := p.named(ctx)
	if err != nil || named == 0 {
		return nil, err
	}
	stored, first := map[int64]time.Time{}, time.Time{}
	since := p.Now.Add(-p.Keep - burnAfter)
	dir := MetadataDir(p.Collection) + "/"
	for e, err := range p.Store.List(ctx, dir) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		role, n, ok := ParseSlot(strings.TrimPrefix(e.Key, dir))
		if !ok || role != tuf.RoleSnapshot {
			continue
		}
		if e.Modified.IsZero() {
			return nil, errors.New("the store does not tell when objects were written, so that nothing can be said of their age")
		}
		if stored[n] = e.Modified; e.Modified.Before(since) && e.Modified.After(first) {
			first = e.Modified // of what was in force then
		}
	}
	maps.DeleteFunc(stored, func(_ int64, at time.Time) bool { return at.Before(first) })
	stored[named] = p.Now
	return slices.Collect(maps.Keys(stored)), nil
}

// named is the version of the snapshot that the timestamp of the mirror names, 0
// if it has none.
func (p *Pruner) named(ctx context.Context) (int64, error) {
	key := TimestampKey(p.Collection)
	data, _, err := storage.Read(ctx, p.Store, key, MaxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	ts, err := tuf.Parse[tuf.Timestamp](data, MaxTimestamp)
	if err != nil {
		return 0, &DamagedError{key, err}
	}
	return ts.Signed.Meta["snapshot.json"].Version, nil
}

// reachSnapshot follows one of the past, as far as it is there. That it is not
// verified only lets more stay: a copy has verified what is named now.
func (p *Pruner) reachSnapshot(ctx context.Context, r *reacher, n int64) error {
	key := SlotKey(p.Collection, tuf.RoleSnapshot, n)
	data, _, err := storage.Read(ctx, p.Store, key, maxMetadata)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := tuf.Parse[tuf.Snapshot](data, maxMetadata)
	if err != nil {
		return &DamagedError{key, err}
	}
	maps.DeleteFunc(f.Signed.Meta, func(name string, _ tuf.MetaFile) bool {
		role, ok := strings.CutSuffix(name, ".json")
		return !ok || slices.Contains([]string{tuf.RoleRoot, tuf.RoleSnapshot, tuf.RoleTimestamp}, role) // other programs list the root too
	})
	return r.snapshot(ctx, f, false)
}
