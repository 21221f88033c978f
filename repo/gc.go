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

	// Ready, if set, fails where Renew would, as far as that can be told before.
	Ready func(ctx context.Context) error

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
func (c *Collector) Find(ctx context.Context) (Garbage, error) { return c.find(ctx, c.reach) }

// find lists what reach does not name.
func (c *Collector) find(ctx context.Context, reach func(context.Context) (map[string]bool, error)) (Garbage, error) {
	if c.Keep < MinKeep {
		return nil, fmt.Errorf("%v is too short to keep what is not published any more: at least %v", c.Keep, MinKeep)
	}
	if err := c.checkClock(ctx); err != nil {
		return nil, err
	}
	reached, err := reach(ctx)
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

// checkClock compares with the store's, if that tells it. Of a collection that is
// gone Load says more.
func (c *Collector) checkClock(ctx context.Context) error {
	info, err := storage.Stat(ctx, c.Store, TimestampKey(c.Collection))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.compareClock(info.Date)
}

// compareClock refuses a clock that differs from a store's: by one that is fast
// everything is old.
func (c *Collector) compareClock(there time.Time) error {
	here := c.Now()
	if c.Told || there.IsZero() || here.Sub(there).Abs() <= MaxSkew {
		return nil
	}
	return &ClockError{Here: here, There: there}
}

// A ClockError reports that the clock of this machine is too far from a store's
// to say anything of the age of objects.
type ClockError struct {
	Here, There time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock here says %s, the store's says %s: nothing can be said of the age of objects",
		e.Here.UTC().Format(time.RFC3339), e.There.UTC().Format(time.RFC3339))
}

// Marked reports whether a run was interrupted, and is to be finished.
func (c *Collector) Marked(ctx context.Context) (bool, error) {
	keys, _, err := readMark(ctx, c.Store, c.Collection)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(keys) > 0, err
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
// stopped. What can be told beforehand to fail does so before anything is marked.
func (c *Collector) Remove(ctx context.Context, garbage Garbage) (int, error) {
	marked, err := c.Marked(ctx)
	if err != nil || !marked && len(garbage) == 0 {
		return 0, err
	}
	if err := c.rehearse(ctx); err != nil {
		return 0, err
	}
	// What an interrupted run has marked comes first: publishers wait for it.
	removed, err := c.finish(ctx, false)
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

// rehearse finds out what would stop a run half-way, when publishers wait for it
// already: that nobody can sign, that the clock is off, that a mark cannot be
// removed. A mark that names nothing keeps nobody waiting.
func (c *Collector) rehearse(ctx context.Context) error {
	if c.Ready != nil {
		if err := c.Ready(ctx); err != nil {
			return fmt.Errorf("sign a new timestamp: %w", err)
		}
	}
	key := GarbageKey(c.Collection)
	info, err := storage.Stat(ctx, c.Store, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.rehearseMark(ctx)
	case err != nil:
		return err
	case !info.Date.IsZero():
		return c.compareClock(info.Date)
	}
	// A store that does not tell its clock says by it when this was written.
	if info, err = rewriteMark(ctx, c.Store, c.Collection); err != nil {
		return err
	}
	return c.compareClock(info.Modified)
}

func (c *Collector) rehearseMark(ctx context.Context) error {
	if err := writeMark(ctx, c.Store, c.Collection, nil); err != nil {
		return err
	}
	info, err := storage.Stat(ctx, c.Store, GarbageKey(c.Collection))
	if err != nil {
		return err
	}
	if err := c.unmark(ctx, info.Version); err != nil {
		return err
	}
	if info.Date.IsZero() {
		info.Date = info.Modified
	}
	return c.compareClock(info.Date)
}

func (c *Collector) removeBatch(ctx context.Context, batch Garbage) (int, error) {
	keys := make([]string, len(batch))
	for i, e := range batch {
		keys[i] = e.Key
	}
	if err := writeMark(ctx, c.Store, c.Collection, keys); err != nil {
		return 0, err
	}
	return c.finish(ctx, true)
}

// finish removes what is marked, and then the mark. One that is its own it also
// removes if nothing can be removed: publishers would wait for nobody.
func (c *Collector) finish(ctx context.Context, own bool) (int, error) {
	keys, version, err := readMark(ctx, c.Store, c.Collection)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(keys) == 0 {
		return 0, c.unmark(ctx, version)
	}
	reached, err := c.settled(ctx)
	if err != nil && own {
		return 0, errors.Join(err, c.abandon(ctx, version))
	}
	if err != nil {
		return 0, err
	}
	removed, denied, err := c.removeMarked(ctx, keys, version, reached)
	if err == nil {
		err = c.unmark(ctx, version)
	}
	if err == nil && denied > 0 {
		err = fmt.Errorf("%d objects of %d may not be deleted: %w", denied, len(keys), fs.ErrPermission)
	}
	return removed, err
}

// settled is what is reached from when on nobody can publish what is marked,
// except who has done so by now.
func (c *Collector) settled(ctx context.Context) (map[string]bool, error) {
	if err := c.Renew(ctx); err != nil {
		return nil, fmt.Errorf("sign a new timestamp: %w", err)
	}
	return c.reach(ctx)
}

// abandonTime is how long to remove a mark may take after what interrupted a run.
const abandonTime = 10 * time.Second

// abandon removes a mark of which nothing was removed, also for who is
// interrupted.
func (c *Collector) abandon(ctx context.Context, version storage.Version) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	return c.unmark(ctx, version)
}

func (c *Collector) removeMarked(ctx context.Context, keys []string, version storage.Version, reached map[string]bool) (removed, denied int, err error) {
	var gone, refused atomic.Int64
	err = parallel.Each(ctx, removeAtOnce, len(keys), func(ctx context.Context, i int) error {
		if reached[keys[i]] {
			return nil
		}
		ok, err := c.remove(ctx, keys[i], version)
		switch {
		case ok:
			gone.Add(1)
		case errors.Is(err, fs.ErrPermission):
			refused.Add(1) // that must not keep publishers waiting
			return nil
		}
		return err
	})
	return int(gone.Load()), int(refused.Load()), err
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
// so what it names is looked at once more; and another run may have removed the
// mark, and with it what protects those who publish the object now.
func (c *Collector) remove(ctx context.Context, key string, mark storage.Version) (bool, error) {
	if !storage.ValidKey(key) {
		return false, nil
	}
	info, err := storage.Stat(ctx, c.Store, GarbageKey(c.Collection))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Version != mark {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove %s: %w", key, err)
	}
	return c.removeOld(ctx, key)
}

// removeOld reports whether an object is gone by this. One that was written anew
// since it was listed stays.
func (c *Collector) removeOld(ctx context.Context, key string) (bool, error) {
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
	history, newest, known := view.History(), true, r.collector.Now()
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
		if newest, known = false, rev.Time; rev.Time.Before(since) {
			return nil // all before it are older
		}
	}
	if history.End != "" {
		return &CutError{Why: history.End, Asked: r.collector.Keep, Known: r.collector.Now().Sub(known) - burnAfter}
	}
	return nil
}

// A CutError reports a past that is not known for as long as garbage is to be
// kept: nobody can tell what was in force before led to. By a Keep that is shorter
// than Known, which grows with time, garbage can be found.
type CutError struct {
	Why          string
	Asked, Known time.Duration
}

func (e *CutError) Error() string {
	return fmt.Sprintf("%s, and it may have been in force within %v: nobody can tell what it led to", e.Why, e.Asked)
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
