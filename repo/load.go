package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// The most that is read of a file whose length nobody signed, in bytes, and the
// most of any metadata file at all.
const (
	MaxRoot      = 512_000
	MaxTimestamp = 16_384
	maxSnapshot  = 2_000_000
	maxTargets   = 5_000_000
	maxMetadata  = 256 << 20

	// maxRoots is how many new roots one Load follows.
	maxRoots = 1024
)

// A Cache keeps verified files between runs, by name: root.json (the newest
// one, where trust starts), timestamp.json, snapshot.json, one file for each
// targets role, and every <n>.root.json seen. Get returns an error wrapping
// fs.ErrNotExist for what it does not have. What it returns is verified again.
//
// Replace is Put on condition that the file is still old, empty for none; it
// reports whether it was. Several processes may share a cache, and one that
// read the store earlier must not take back what another has seen since.
type Cache interface {
	Get(name string) ([]byte, error)
	Put(name string, data []byte) error
	Replace(name string, old, data []byte) (bool, error)
}

// A Loader reads a collection from a store or a mirror.
type Loader struct {
	Source     storage.Getter
	Collection string
	Cache      Cache
	Now        time.Time

	// IgnoreExpiry is for those who renew metadata.
	IgnoreExpiry bool

	// Stale is for those who cannot reach the store, and want to know as much as
	// the cache tells: a role may be of another version than the snapshot lists.
	Stale bool

	// TimestampFirst is for those who will write: what is read after
	// timestamp.json is at least as new as the version of it that a
	// compare-and-swap replaces, so a newer root cannot be missed. Readers keep
	// the order of the TUF specification, roots first.
	TimestampFirst bool

	// Recover passes over what a stolen online key has signed and nobody can go on
	// from, in the store and in the cache. It is for those who then replace that
	// key; Source must be able to List.
	Recover bool

	// Pin, if set, is what is demanded of the roots.
	Pin *Pin
}

// writersLoader reads for those who will write, and may renew what has expired.
func writersLoader(source storage.Getter, collection string, cache Cache, pin *Pin, now time.Time) *Loader {
	return &Loader{
		Source: source, Collection: collection, Cache: cache,
		Now: now, IgnoreExpiry: true, TimestampFirst: true, Pin: pin,
	}
}

// A View is a collection as a client sees it, each file verified from the
// trusted root. Targets roles are loaded when they are asked for. A View is not
// safe for concurrent use.
type View struct {
	Roots     []*tuf.File[tuf.Root] // those walked, the newest last
	Timestamp *tuf.File[tuf.Timestamp]
	Snapshot  *tuf.File[tuf.Snapshot]
	Targets   map[string]*tuf.File[tuf.Targets] // those loaded, by role

	loader  *Loader
	version storage.Version // of timestamp.json
	old     cached
	vouched map[voucher]bool
	lagging map[string]bool          // roles whose file only the root before verifies
	begun   bool                     // the newest root begins a recovery, and the rest is missing
	seen    *tuf.File[tuf.Timestamp] // with Recover, the one of the cache
}

// Load verifies the collection down to its snapshot; TUF specification,
// sections 5.3 to 5.5. A collection without a timestamp.json, never seen with
// one, gives a View that is not Published.
func (l *Loader) Load(ctx context.Context) (*View, error) {
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		v, err := l.load(ctx)
		if !errors.Is(err, errRace) {
			return v, err
		}
	}
	return nil, fmt.Errorf("load: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

func (l *Loader) load(ctx context.Context) (*View, error) {
	v, err := l.begin()
	if err != nil {
		return nil, err
	}
	var raw []byte
	steps := []func() error{
		func() error { return v.walkRoots(ctx) },
		func() (err error) { raw, err = v.readTimestamp(ctx); return err },
	}
	if l.TimestampFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return v, v.finish(ctx, raw)
}

// begin reads the cache. That comes before the store: another process may put
// newer files into it meanwhile, against which ours would look rolled back.
func (l *Loader) begin() (*View, error) {
	v := &View{loader: l, Targets: map[string]*tuf.File[tuf.Targets]{}, vouched: map[voucher]bool{}, lagging: map[string]bool{}, old: readCache(l.Cache)}
	if l.Recover {
		v.forget()
	}
	return v, v.trustedRoot()
}

// finish verifies what lies below the newest root; raw is timestamp.json. The
// error is errRace for a timestamp.json that the newest root does not verify any
// more, read just before somebody replaced its keys.
func (v *View) finish(ctx context.Context, raw []byte) error {
	v.begun = v.hasBegun(raw)
	verify := v.verify
	switch {
	case v.loader.Recover:
		return v.recover(ctx, raw)
	case v.begun:
		v.forget()
		verify = v.recover
	}
	err := verify(ctx, raw)
	var bad *VerifyError
	if !v.loader.TimestampFirst || !errors.As(err, &bad) {
		return err
	}
	if _, version, readErr := v.read(ctx, "timestamp.json", MaxTimestamp); readErr == nil && version != v.version {
		return errRace
	}
	return err
}

func (v *View) verify(ctx context.Context, raw []byte) error {
	if err := v.checkPin(ctx); err != nil {
		return err
	}
	if err := v.checkExpiry(tuf.RoleRoot, v.Root().Head()); err != nil {
		return err
	}
	if raw == nil {
		return nil
	}
	if err := v.loadTimestamp(ctx, raw); err != nil {
		return err
	}
	return v.loadSnapshot(ctx)
}

// Root is the newest root.
func (v *View) Root() *tuf.File[tuf.Root] { return v.Roots[len(v.Roots)-1] }

// Published reports whether the collection has ever been published.
func (v *View) Published() bool { return v.Timestamp != nil }

// cached is what an earlier Load left, as far as it still parses.
type cached struct {
	timestamp *tuf.File[tuf.Timestamp]
	snapshot  *tuf.File[tuf.Snapshot]
}

func readCache(c Cache) cached {
	return cached{
		timestamp: parseCached[tuf.Timestamp](c, "timestamp.json", MaxTimestamp),
		snapshot:  parseCached[tuf.Snapshot](c, "snapshot.json", maxMetadata),
	}
}

// parseCached returns nil for a file that is not there or damaged: the store
// has it too.
func parseCached[T tuf.Content](c Cache, name string, max int64) *tuf.File[T] {
	data, err := c.Get(name)
	if err != nil {
		return nil
	}
	f, err := tuf.Parse[T](data, max)
	if err != nil {
		return nil
	}
	return f
}

func (v *View) trustedRoot() error {
	data, err := v.loader.Cache.Get("root.json")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoRoot, err)
	}
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	root, err := tuf.Parse[tuf.Root](data, MaxRoot)
	if err != nil {
		return unverified("the trusted root", err)
	}
	if err := verifyTop(root, tuf.RoleRoot, root); err != nil {
		return unverified("the trusted root", err)
	}
	v.Roots = []*tuf.File[tuf.Root]{root}
	return nil
}

// walkRoots follows the chain of roots to its end; section 5.3.
func (v *View) walkRoots(ctx context.Context) error {
	for range maxRoots {
		n := v.Root().Signed.Version + 1
		name := SlotName(tuf.RoleRoot, n)
		data, _, err := v.read(ctx, name, MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		root, err := tuf.Parse[tuf.Root](data, MaxRoot)
		if err != nil {
			return unverified(name, err)
		}
		if err := verifySuccessor(v.Root(), root); err != nil {
			return unverified(name, err)
		}
		if err := v.keepRoot(root); err != nil {
			return err
		}
		v.Roots = append(v.Roots, root)
	}
	return unverified("roots", fmt.Errorf("more than %d new ones", maxRoots))
}

// keepRoot remembers a verified root at once: it may be what an attacker
// withholds from the next run.
func (v *View) keepRoot(root *tuf.File[tuf.Root]) error {
	if err := v.keep(SlotName(tuf.RoleRoot, root.Signed.Version), root.Bytes()); err != nil {
		return err
	}
	return keepUnless(v, "root.json", root, func(there *tuf.File[tuf.Root]) bool {
		return there.Signed.Version >= root.Signed.Version
	})
}

// verifySuccessor checks that next may follow root; section 5.3.4 and 5.3.5.
func verifySuccessor(root, next *tuf.File[tuf.Root]) error {
	if want := root.Signed.Version + 1; next.Signed.Version != want {
		return fmt.Errorf("version %d, not %d", next.Signed.Version, want)
	}
	if err := verifyTop(root, tuf.RoleRoot, next); err != nil {
		return fmt.Errorf("by the keys of the root before it: %w", err)
	}
	if err := verifyTop(next, tuf.RoleRoot, next); err != nil {
		return fmt.Errorf("by its own keys: %w", err)
	}
	return nil
}

// verifyTop checks the signatures of a top-level role's file.
func verifyTop[T tuf.Content](root *tuf.File[tuf.Root], role string, f *tuf.File[T]) error {
	return f.Verify(role, root.Signed.Roles[role], root.Signed.Keys)
}

// readTimestamp returns nil for a collection that is not published.
func (v *View) readTimestamp(ctx context.Context) ([]byte, error) {
	data, version, err := v.read(ctx, "timestamp.json", MaxTimestamp)
	old := cmp.Or(v.old.timestamp, v.seen)
	switch {
	case errors.Is(err, fs.ErrNotExist) && old != nil:
		return nil, unverified("timestamp.json", fmt.Errorf("it is gone; version %d was there before", old.Signed.Version))
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	v.version = version
	return data, nil
}

// loadTimestamp verifies timestamp.json; section 5.4. A cached one that the
// root's keys did not sign is forgotten: that is how a collection recovers from
// a stolen timestamp key.
func (v *View) loadTimestamp(ctx context.Context, raw []byte) error {
	ts, err := tuf.Parse[tuf.Timestamp](raw, MaxTimestamp)
	if err != nil {
		return unverified("timestamp.json", err)
	}
	if err := verifyPublished(ctx, v, tuf.RoleTimestamp, ts); err != nil {
		return unverified("timestamp.json", err)
	}
	old := v.old.timestamp
	if old != nil && verifyTop(v.Root(), tuf.RoleTimestamp, old) == nil {
		if err := checkTimestampRollback(&old.Signed, &ts.Signed); err != nil {
			return unverified("timestamp.json", err)
		}
		if ts.Signed.Version == old.Signed.Version {
			if v.loader.TimestampFirst && !bytes.Equal(ts.Payload(), old.Payload()) {
				return unverified("timestamp.json", fmt.Errorf("version %d has changed", ts.Signed.Version))
			}
			ts = old
		}
	} else {
		v.old.timestamp = nil
	}
	if err := v.checkExpiry(tuf.RoleTimestamp, ts.Head()); err != nil {
		return err
	}
	v.Timestamp = ts
	return v.keepTimestamp(ts)
}

// checkTimestampRollback compares with the one seen before; section 5.4.3.
func checkTimestampRollback(old, ts *tuf.Timestamp) error {
	if ts.Version < old.Version {
		return fmt.Errorf("version %d, but version %d was there before", ts.Version, old.Version)
	}
	if now, before := ts.Meta["snapshot.json"].Version, old.Meta["snapshot.json"].Version; now < before {
		return fmt.Errorf("snapshot version %d, but version %d was there before", now, before)
	}
	return nil
}

// loadSnapshot verifies the snapshot that the timestamp names; section 5.5.
func (v *View) loadSnapshot(ctx context.Context) error {
	meta := v.Timestamp.Signed.Meta["snapshot.json"]
	snapshot, err := loadListed(ctx, v, tuf.RoleSnapshot, meta, maxSnapshot, func(f *tuf.File[tuf.Snapshot]) error {
		return verifyPublished(ctx, v, tuf.RoleSnapshot, f)
	})
	if err != nil {
		return err
	}
	if _, ok := snapshot.Signed.Meta["targets.json"]; !ok {
		return unverified(SlotName(tuf.RoleSnapshot, meta.Version), errors.New("targets.json is not listed"))
	}
	old := v.old.snapshot
	if old != nil && verifyTop(v.Root(), tuf.RoleSnapshot, old) == nil {
		if err := checkSnapshotRollback(&old.Signed, &snapshot.Signed); err != nil {
			return unverified(SlotName(tuf.RoleSnapshot, meta.Version), err)
		}
	}
	if err := v.checkExpiry(tuf.RoleSnapshot, snapshot.Head()); err != nil {
		return err
	}
	v.Snapshot = snapshot
	return v.keepSnapshot(snapshot)
}

// checkSnapshotRollback compares with one seen before: no role may be missing
// or older; section 5.5.5.
func checkSnapshotRollback(old, snapshot *tuf.Snapshot) error {
	for name, before := range old.Meta {
		now, ok := snapshot.Meta[name]
		if !ok {
			return fmt.Errorf("%s is no longer listed", name)
		}
		if now.Version < before.Version {
			return fmt.Errorf("%s is listed with version %d, but version %d was there before", name, now.Version, before.Version)
		}
	}
	return nil
}

// loadListed returns the file that meta describes and verify accepts, from the
// cache if it is there, else from the store.
func loadListed[T tuf.Content](
	ctx context.Context, v *View, role string, meta tuf.MetaFile, max int64, verify func(*tuf.File[T]) error,
) (*tuf.File[T], error) {
	if meta.Length > 0 {
		max = min(meta.Length, maxMetadata)
	}
	if data, err := v.loader.Cache.Get(role + ".json"); err == nil {
		if f, err := parseListed(data, meta, max, verify); err == nil {
			return f, nil
		}
		if f, err := tuf.Parse[T](data, maxMetadata); v.loader.Stale && err == nil && verify(f) == nil {
			return f, nil
		}
	}
	name := SlotName(role, meta.Version)
	data, _, err := v.read(ctx, v.slotOrPlain(role, meta.Version), max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unverified(name, err)
	}
	if err != nil {
		return nil, err
	}
	f, err := parseListed(data, meta, max, verify)
	if err != nil {
		return nil, unverified(name, err)
	}
	return f, nil
}

// parseListed reads a file and checks it against what lists it.
func parseListed[T tuf.Content](data []byte, meta tuf.MetaFile, max int64, verify func(*tuf.File[T]) error) (*tuf.File[T], error) {
	if err := checkContent(meta, data); err != nil {
		return nil, err
	}
	f, err := tuf.Parse[T](data, max)
	if err != nil {
		return nil, err
	}
	if got := f.Head().Version; got != meta.Version {
		return nil, fmt.Errorf("it says version %d", got)
	}
	return f, verify(f)
}

// slotOrPlain is the name under which a mirror has a role's file; section 6.2.
func (v *View) slotOrPlain(role string, version int64) string {
	if v.Root().Signed.ConsistentSnapshot {
		return SlotName(role, version)
	}
	return role + ".json"
}

func (v *View) read(ctx context.Context, name string, max int64) ([]byte, storage.Version, error) {
	data, version, err := storage.Read(ctx, v.loader.Source, MetadataDir(v.loader.Collection)+"/"+name, max)
	if isWrecked(err) {
		err = unverified(name, err)
	}
	return data, version, err
}

func (v *View) keepTimestamp(ts *tuf.File[tuf.Timestamp]) error {
	return keepTop(v, tuf.RoleTimestamp, ts, checkTimestampRollback)
}

func (v *View) keepSnapshot(snapshot *tuf.File[tuf.Snapshot]) error {
	return keepTop(v, tuf.RoleSnapshot, snapshot, checkSnapshotRollback)
}

// keepTop caches a role's file unless that would be a rollback of one that
// another process has put there. What the newest root does not verify does not
// count: that is how a collection recovers from a stolen key.
func keepTop[T tuf.Content](v *View, role string, f *tuf.File[T], rollback func(old, f *T) error) error {
	return keepUnless(v, role+".json", f, func(there *tuf.File[T]) bool {
		// After there was read: who put it there had put its root before it.
		root := v.newestRoot()
		if verifyTop(root, role, there) != nil {
			return false
		}
		return verifyTop(root, role, f) != nil ||
			f.Head().Version < there.Head().Version || rollback(&there.Signed, &f.Signed) != nil
	})
}

// newestRoot is that of the cache if it is ahead of ours.
func (v *View) newestRoot() *tuf.File[tuf.Root] {
	there := parseCached[tuf.Root](v.loader.Cache, "root.json", MaxRoot)
	if there != nil && there.Signed.Version > v.Root().Signed.Version {
		return there
	}
	return v.Root()
}

// keepUnless caches a verified file unless the one that is there is to stay.
func keepUnless[T tuf.Content](v *View, name string, f *tuf.File[T], stays func(there *tuf.File[T]) bool) error {
	for {
		old, err := v.loader.Cache.Get(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read cached %s: %w", name, err)
		}
		if there, err := tuf.Parse[T](old, maxMetadata); bytes.Equal(old, f.Bytes()) || err == nil && stays(there) {
			return nil
		}
		done, err := v.loader.Cache.Replace(name, old, f.Bytes())
		if err != nil {
			return fmt.Errorf("cache %s: %w", name, err)
		}
		if done {
			return nil
		}
	}
}

// keep caches a verified file.
func (v *View) keep(name string, data []byte) error {
	if err := v.loader.Cache.Put(name, data); err != nil {
		return fmt.Errorf("cache %s: %w", name, err)
	}
	return nil
}

func (v *View) checkExpiry(role string, head *tuf.Common) error {
	if v.loader.IgnoreExpiry || v.loader.Now.Before(head.Expires) {
		return nil
	}
	return &ExpiredError{Role: role, At: head.Expires}
}
