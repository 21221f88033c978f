package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file removes what unfinished publishes have left, and what was published
// once and is not any more.
//
// A publish finds a target in the store and does not upload it again: what looks
// like garbage now may be published in a moment. So there is a mark, an object
// that names what is about to be removed. After it is written a new timestamp is
// signed. Who loaded the collection before loses to that and begins again; who
// loads it later finds the mark, and waits. What others have published in
// between, the collector sees when it looks once more, and spares.

// DefaultKeep is for how long what is not published any more stays: a client
// that has read a timestamp finds everything that it leads to.
const DefaultKeep = 30 * 24 * time.Hour

// MinKeep leaves no room for a publish that is under way, or a client that is.
const MinKeep = 48 * time.Hour

// MaxSkew is how far the clock of a machine that signs, or that tells what is old,
// may be from its store's.
const MaxSkew = 5 * time.Minute

const (
	maxMarked    = 2000 // objects that go at once
	removeAtOnce = 16
)

// A Collector removes garbage of a collection. The store must be a
// storage.Deleter.
type Collector struct {
	Store      storage.Store
	Collection string
	Cache      Cache
	Pin        *Pin // what is demanded of the roots; may be nil
	Now        func() time.Time
	Keep       time.Duration // at least MinKeep

	// Pending, if set, is role files that somebody may publish still: drafts, and
	// submissions that wait. The targets that they list are no garbage.
	Pending func(ctx context.Context) ([]map[string][]byte, error)

	// Renew has a new timestamp signed, whether one is due or not.
	Renew func(ctx context.Context) error

	// Told says that Now is what somebody has been told to go by, and need not be
	// what the store says.
	Told bool

	// Removing, if set, is told of every object that is gone.
	Removing func()
}

// Garbage is what no timestamp of the last Keep reaches, sorted by key.
type Garbage []storage.Entry

// Bytes is how many bytes it has together.
func (g Garbage) Bytes() (n int64) {
	for _, e := range g {
		n += e.Size
	}
	return n
}

// among is what of g is in another list too.
func (g Garbage) among(others Garbage) Garbage {
	keys := map[string]bool{}
	for _, e := range others {
		keys[e.Key] = true
	}
	return slices.DeleteFunc(slices.Clone(g), func(e storage.Entry) bool { return !keys[e.Key] })
}

// Find lists the garbage and changes nothing. Roots are never garbage, nor is
// what has another name than the layout gives. The error is a *VerifyError for a
// collection that is damaged: whoever cannot tell what belongs to it must not
// remove anything.
func (c *Collector) Find(ctx context.Context) (Garbage, error) {
	if c.Keep < MinKeep {
		return nil, fmt.Errorf("%v is too short to keep what is not published any more: at least %v", c.Keep, MinKeep)
	}
	if err := c.checkClock(ctx); err != nil {
		return nil, err
	}
	reached, err := c.reach(ctx)
	if err != nil {
		return nil, err
	}
	var garbage Garbage
	for _, dir := range []string{MetadataDir(c.Collection) + "/", TargetsDir(c.Collection) + "/"} {
		for e, err := range c.Store.List(ctx, dir) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", dir, err)
			}
			if !reached[e.Key] && c.mayGo(e) {
				garbage = append(garbage, e)
			}
		}
	}
	return garbage, nil
}

// checkClock compares with the store's: by a clock that is fast everything is
// old.
func (c *Collector) checkClock(ctx context.Context) error {
	if c.Told {
		return nil
	}
	info, err := storage.Stat(ctx, c.Store, TimestampKey(c.Collection))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotPublished
	}
	if err != nil {
		return err
	}
	if !info.Date.IsZero() && c.Now().Sub(info.Date).Abs() > MaxSkew {
		return fmt.Errorf("the clock here says %s, the store's says %s: nothing can be said of the age of objects", c.Now().UTC().Format(time.RFC3339), info.Date.UTC().Format(time.RFC3339))
	}
	return nil
}

// Marked reports whether a run was interrupted, and is to be finished.
func (c *Collector) Marked(ctx context.Context) (bool, error) {
	_, _, err := readMark(ctx, c.Store, c.Collection)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mayGo reports whether an object is old, and of a kind that can be garbage.
func (c *Collector) mayGo(e storage.Entry) bool {
	if e.Modified.IsZero() || c.Now().Sub(e.Modified) < c.Keep {
		return false
	}
	if strings.HasPrefix(e.Key, TargetsDir(c.Collection)+"/") || strings.HasPrefix(e.Key, ProbeKey(c.Collection, "")) {
		return true
	}
	name, ok := strings.CutPrefix(e.Key, MetadataDir(c.Collection)+"/")
	role, _, slot := ParseSlot(name)
	return ok && slot && role != tuf.RoleRoot
}

// Remove removes garbage that Find has found, as far as it still is, and returns
// how many objects are gone. To run it again after an error goes on where it
// stopped.
func (c *Collector) Remove(ctx context.Context, garbage Garbage) (int, error) {
	// What an interrupted run has marked comes first: publishers wait for it.
	removed, err := c.finish(ctx)
	for batch := range slices.Chunk(garbage, maxMarked) {
		if err != nil {
			break
		}
		var n int
		n, err = c.removeBatch(ctx, batch)
		removed += n
	}
	return removed, err
}

func (c *Collector) removeBatch(ctx context.Context, batch Garbage) (int, error) {
	keys := make([]string, len(batch))
	for i, e := range batch {
		keys[i] = e.Key
	}
	if err := writeMark(ctx, c.Store, c.Collection, keys); err != nil {
		return 0, err
	}
	return c.finish(ctx)
}

// finish removes what is marked, and then the mark.
func (c *Collector) finish(ctx context.Context) (int, error) {
	keys, version, err := readMark(ctx, c.Store, c.Collection)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// From here on nobody can publish what is marked, except who has done so by now.
	if err := c.Renew(ctx); err != nil {
		return 0, fmt.Errorf("sign a new timestamp: %w", err)
	}
	reached, err := c.reach(ctx)
	if err != nil {
		return 0, err
	}
	var removed, denied atomic.Int64
	err = parallel.Each(ctx, removeAtOnce, len(keys), func(ctx context.Context, i int) error {
		if reached[keys[i]] {
			return nil
		}
		gone, err := c.remove(ctx, keys[i])
		switch {
		case gone:
			removed.Add(1)
		case errors.Is(err, fs.ErrPermission):
			denied.Add(1) // that must not keep publishers waiting
			return nil
		}
		return err
	})
	if err == nil {
		err = c.unmark(ctx, version)
	}
	if n := denied.Load(); err == nil && n > 0 {
		err = fmt.Errorf("%d objects of %d may not be deleted: %w", n, len(keys), fs.ErrPermission)
	}
	return int(removed.Load()), err
}

// unmark removes the mark whose garbage is gone. Another run may have done so, and
// may even have left a mark of its own, which is for that one to remove.
func (c *Collector) unmark(ctx context.Context, version storage.Version) error {
	err := c.Store.(storage.Deleter).Delete(ctx, GarbageKey(c.Collection), version)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, storage.ErrConflict) {
		_, now, readErr := readMark(ctx, c.Store, c.Collection)
		if errors.Is(readErr, fs.ErrNotExist) || readErr == nil && now != version {
			return nil
		}
	}
	return err
}

// remove reports whether an object is gone by this. The mark may be anybody's,
// so what it names is looked at once more.
func (c *Collector) remove(ctx context.Context, key string) (bool, error) {
	if !storage.ValidKey(key) {
		return false, nil
	}
	info, err := storage.Stat(ctx, c.Store, key)
	if err == nil && !c.mayGo(storage.Entry{Key: key, Modified: info.Modified}) {
		return false, nil
	}
	if err == nil {
		err = c.Store.(storage.Deleter).Delete(ctx, key, info.Version)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("remove %s: %w", key, err)
	}
	if c.Removing != nil {
		c.Removing()
	}
	return true, nil
}

// reach is every key that a timestamp of the last Keep leads to.
func (c *Collector) reach(ctx context.Context) (map[string]bool, error) {
	view, err := writersLoader(c.Store, c.Collection, c.Cache, c.Pin, c.Now()).Load(ctx)
	if err != nil {
		return nil, err
	}
	if !view.Published() {
		return nil, ErrNotPublished
	}
	if n := view.Snapshot.Signed.Version; n >= sane {
		return nil, unverified(SlotName(tuf.RoleSnapshot, n), errors.New("nobody comes to that number by signing: what was there before is needed to recover from it"))
	}
	r := &reacher{collector: c, keys: map[string]bool{}, seen: map[string]bool{}}
	if err := r.past(ctx, view); err != nil {
		return nil, err
	}
	return r.keys, r.pending(ctx)
}

// A reacher follows snapshots to what they lead to.
type reacher struct {
	collector *Collector
	keys      map[string]bool
	seen      map[string]bool // slots of roles
}

// past follows every snapshot that was in force within Keep.
func (r *reacher) past(ctx context.Context, view *View) error {
	// A snapshot is in force until its successor is, which may take a day from when
	// that was written: older slots nobody builds upon.
	since := r.collector.Now().Add(-r.collector.Keep - burnAfter)
	history, newest := view.History(), true
	for rev, err := range history.All(ctx) {
		switch {
		case err != nil:
			return err
		case rev.Snapshot == 0:
			continue
		case !rev.Stored:
			return errors.New("the store does not tell when objects were written, so that nothing can be said of their age")
		}
		if err := r.snapshot(ctx, rev.snapshot.file, newest); err != nil {
			return err
		}
		if newest = false; rev.Time.Before(since) {
			return nil // all before it are older
		}
	}
	if history.End != "" {
		return fmt.Errorf("%s, and it may have been in force within %v: nobody can tell what it led to", history.End, r.collector.Keep)
	}
	return nil
}

// pending spares what drafts and submissions list. What cannot be read will not
// be published.
func (r *reacher) pending(ctx context.Context) error {
	if r.collector.Pending == nil {
		return nil
	}
	all, err := r.collector.Pending(ctx)
	if err != nil {
		return err
	}
	for _, files := range all {
		for role, data := range files {
			if f, err := tuf.Parse[tuf.Targets](data, maxMetadata); err == nil && role != tuf.RoleRoot {
				r.targets(f)
			}
		}
	}
	return nil
}

func (r *reacher) targets(f *tuf.File[tuf.Targets]) {
	for name, file := range f.Signed.Targets {
		for _, sum := range file.Hashes {
			r.keys[TargetKey(r.collector.Collection, name, sum)] = true
		}
	}
}

func (r *reacher) snapshot(ctx context.Context, s *tuf.File[tuf.Snapshot], newest bool) error {
	r.keys[SlotKey(r.collector.Collection, tuf.RoleSnapshot, s.Signed.Version)] = true
	for name, meta := range s.Signed.Meta {
		role := strings.TrimSuffix(name, ".json")
		key := SlotKey(r.collector.Collection, role, meta.Version)
		r.keys[key] = true
		if r.seen[key] {
			continue
		}
		r.seen[key] = true
		if err := r.role(ctx, key, meta, newest); err != nil {
			return unverified(path.Base(key), err)
		}
	}
	return nil
}

// role follows one file of a role. One of the past that is gone leads nowhere any
// more; of what is published now nothing may be missing.
func (r *reacher) role(ctx context.Context, key string, meta tuf.MetaFile, newest bool) error {
	data, _, err := storage.Read(ctx, r.collector.Store, key, maxMetadata)
	if errors.Is(err, fs.ErrNotExist) && !newest {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := parseListed(data, meta, maxMetadata, func(*tuf.File[tuf.Targets]) error { return nil })
	if err != nil {
		return err
	}
	r.targets(f)
	return nil
}
