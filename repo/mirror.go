package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Mirror copies what a collection has published to another store, as it is:
// every file is verified from the trusted root before it is written, and nothing
// is signed. It copies what the other store lacks, so that to run it again goes
// on where it stopped, or brings it up to date.
//
// A client of the other store sees the version that was there before or the new
// one, at any moment. That has an exception, see Moved.
type Mirror struct {
	Source storage.Getter // read under the name of the collection
	Store  storage.Store  // written
	Loader *Loader        // of the source

	// Copying, if set, is told of every n bytes of targets that are written, or
	// were there.
	Copying func(n int64)
}

// Mirrored is what was done.
type Mirrored struct {
	Versions map[string]int64 `json:"versions"` // of what both have now
	Files    int              `json:"files"`    // of metadata that were written
	Targets  int              `json:"targets"`  // objects that were written
	Present  int              `json:"present"`  // objects of targets that were there

	// Moved says that the keys of the source were replaced since the last copy, and
	// that old and new ones no longer sign together: while it was copied, for a
	// moment, clients may have been refused.
	Moved bool `json:"moved,omitempty"`
}

// ErrAhead reports another store that has a newer version than the source.
var ErrAhead = errors.New("the mirror is ahead of the source")

// Load verifies what the source has, all of its metadata, and tells how many
// bytes its targets have together.
func (m *Mirror) Load(ctx context.Context) (*View, int64, error) {
	v, err := m.Loader.Load(ctx)
	switch {
	case err != nil:
		return nil, 0, err
	case !v.Published():
		return nil, 0, ErrNotPublished
	case !v.Root().Signed.ConsistentSnapshot:
		return nil, 0, errors.New("the source has no versions in the names of its files (consistent_snapshot is false): they would have to be replaced while clients read them")
	}
	all, err := v.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	for _, t := range all {
		total += t.Length
	}
	return v, total, nil
}

// Copy copies the version that Load has verified. An error leaves the mirror as
// it was, or complete. It wraps ErrAhead or is a *BurnedError where the other
// store has something else than an older version of the same collection.
func (m *Mirror) Copy(ctx context.Context, v *View) (*Mirrored, error) {
	c := &copying{Mirror: m, view: v, done: &Mirrored{Versions: map[string]int64{}}}
	there, version, err := c.published(ctx)
	if err != nil {
		return nil, err
	}
	roots, err := c.roots(ctx)
	if err != nil {
		return nil, err
	}
	rootsFirst, err := c.order(ctx, there)
	if err != nil {
		return nil, err
	}
	steps := []func() error{
		func() error { return c.targets(ctx) },
		func() error { return c.roles(ctx) },
		func() error { return c.timestamp(ctx, there, version) },
		func() error { return c.writeRoots(ctx, roots) },
	}
	if rootsFirst {
		steps = []func() error{steps[0], steps[1], steps[3], steps[2]}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c.done, nil
}

// copying is one run of a Mirror.
type copying struct {
	*Mirror
	view *View

	// restarted says that the source has forgotten the timestamp of the mirror: its
	// keys were replaced, and versions may have fallen with them.
	restarted bool

	mu   sync.Mutex
	done *Mirrored
}

func (c *copying) collection() string { return c.Loader.Collection }

// published is the timestamp that the mirror has, nil for none.
func (c *copying) published(ctx context.Context) (*tuf.File[tuf.Timestamp], storage.Version, error) {
	data, version, err := storage.Read(ctx, c.Store, TimestampKey(c.collection()), MaxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, storage.Absent, nil
	}
	if err != nil {
		return nil, version, err
	}
	ts, err := tuf.Parse[tuf.Timestamp](data, MaxTimestamp)
	if err != nil {
		return nil, version, unverified("timestamp.json of the mirror", err)
	}
	return ts, version, c.checkAhead(ctx, ts)
}

// checkAhead refuses to take the mirror back. Versions do not tell where the
// newest root of the source verifies the timestamp of the mirror no longer: what
// clients then forget is replaced, as a recovery from a fast-forward attack
// demands; TUF specification, section 5.3.11. A mirror that has a root after that
// one is ahead whatever the versions are.
func (c *copying) checkAhead(ctx context.Context, there *tuf.File[tuf.Timestamp]) error {
	root := c.view.Root()
	after := root.Signed.Version + 1
	switch _, err := storage.Stat(ctx, c.Store, SlotKey(c.collection(), tuf.RoleRoot, after)); {
	case err == nil:
		return fmt.Errorf("%w: it has root %d, the source has %d", ErrAhead, after, root.Signed.Version)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if c.restarted = verifyTop(root, tuf.RoleTimestamp, there) != nil; c.restarted {
		return nil
	}
	if ours := c.view.Timestamp.Signed.Version; there.Signed.Version > ours {
		return fmt.Errorf("%w: it has timestamp %d, the source has %d", ErrAhead, there.Signed.Version, ours)
	}
	return nil
}

// roots is every root from the first on. Those before the trusted one are proven
// by their successors.
func (c *copying) roots(ctx context.Context) ([]*tuf.File[tuf.Root], error) {
	var roots []*tuf.File[tuf.Root]
	for n := int64(1); n <= c.view.Root().Signed.Version; n++ {
		name := SlotName(tuf.RoleRoot, n)
		data, _, err := storage.Read(ctx, c.Source, SlotKey(c.collection(), tuf.RoleRoot, n), MaxRoot)
		if err != nil {
			return nil, unverified(name, err)
		}
		root, err := tuf.Parse[tuf.Root](data, MaxRoot)
		switch {
		case err != nil:
		case root.Signed.Version != n:
			err = fmt.Errorf("it says version %d", root.Signed.Version)
		case n == 1:
			err = verifyTop(root, tuf.RoleRoot, root)
		default:
			err = verifySuccessor(roots[n-2], root)
		}
		if err != nil {
			return nil, unverified(name, err)
		}
		roots = append(roots, root)
	}
	for _, trusted := range c.view.Roots {
		if n := trusted.Signed.Version; !bytes.Equal(roots[n-1].Payload(), trusted.Payload()) {
			return nil, unverified(SlotName(tuf.RoleRoot, n), errors.New("it is not the one that is trusted"))
		}
	}
	return roots, nil
}

// order tells whether the roots come before the timestamp. Clients that do not
// see the new roots yet must be able to verify what is there beside the old one,
// or those that do what was there before.
func (c *copying) order(ctx context.Context, there *tuf.File[tuf.Timestamp]) (rootsFirst bool, err error) {
	if there == nil {
		return true, nil // nobody reads what has no timestamp
	}
	old, err := c.newestThere(ctx)
	if err != nil || old == nil || old.Signed.Version == c.view.Root().Signed.Version {
		return true, err
	}
	if c.verifies(old) {
		return false, nil
	}
	c.done.Moved, err = c.moved(ctx, there)
	return true, err
}

// moved reports whether the newest root verifies nothing of what the mirror has
// published any more, or not all of it.
func (c *copying) moved(ctx context.Context, there *tuf.File[tuf.Timestamp]) (bool, error) {
	if c.restarted {
		return true, nil
	}
	snapshot, err := verifiedThere[tuf.Snapshot](ctx, c, tuf.RoleSnapshot, there.Signed.Meta["snapshot.json"])
	if err != nil || snapshot == nil {
		return true, err
	}
	targets, err := verifiedThere[tuf.Targets](ctx, c, tuf.RoleTargets, snapshot.Signed.Meta["targets.json"])
	return targets == nil, err
}

// verifiedThere is a top-level role's file of the mirror, nil if the newest root
// does not verify it, or it is not there.
func verifiedThere[T tuf.Content](ctx context.Context, c *copying, role string, meta tuf.MetaFile) (*tuf.File[T], error) {
	data, _, err := storage.Read(ctx, c.Store, SlotKey(c.collection(), role, meta.Version), maxMetadata)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := tuf.Parse[T](data, maxMetadata)
	if err != nil || verifyTop(c.view.Root(), role, f) != nil {
		return nil, nil
	}
	return f, nil
}

// newestThere is the newest root that the mirror has.
func (c *copying) newestThere(ctx context.Context) (*tuf.File[tuf.Root], error) {
	for n := c.view.Root().Signed.Version; n >= 1; n-- {
		data, _, err := storage.Read(ctx, c.Store, SlotKey(c.collection(), tuf.RoleRoot, n), MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		root, err := tuf.Parse[tuf.Root](data, MaxRoot)
		if err != nil {
			return nil, unverified(SlotName(tuf.RoleRoot, n)+" of the mirror", err)
		}
		return root, nil
	}
	return nil, nil
}

// verifies reports whether an older root verifies what is about to be written.
func (c *copying) verifies(root *tuf.File[tuf.Root]) bool {
	return verifyTop(root, tuf.RoleTimestamp, c.view.Timestamp) == nil &&
		verifyTop(root, tuf.RoleSnapshot, c.view.Snapshot) == nil &&
		verifyTop(root, tuf.RoleTargets, c.view.Targets[tuf.RoleTargets]) == nil
}

// targets copies every object that clients may ask for: a target has one for each
// of its hashes.
func (c *copying) targets(ctx context.Context) error {
	all, err := c.view.List(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	type object struct {
		key    string
		target Target
	}
	var objects []object
	for _, t := range all {
		for _, sum := range t.Hashes {
			if key := TargetKey(c.collection(), t.Name, sum); !seen[key] {
				seen[key] = true
				objects = append(objects, object{key, t})
			}
		}
	}
	return parallel.Each(ctx, uploads, len(objects), func(ctx context.Context, i int) error {
		if err := c.copyTarget(ctx, objects[i].key, objects[i].target); err != nil {
			return fmt.Errorf("copy target %q: %w", objects[i].target.Name, err)
		}
		return nil
	})
}

// copyTarget copies an object unless it is there.
func (c *copying) copyTarget(ctx context.Context, key string, t Target) error {
	if _, wrong, err := compareObject(ctx, c.Store, key, t.Name, t.TargetFile, false); !errors.Is(err, fs.ErrNotExist) {
		c.count(&c.done.Present)
		c.copied(t.Length)
		return errors.Join(wrong, err)
	}
	body := &remote{ctx: ctx, source: c.Source, key: c.sourceKey(t), want: t.TargetFile, tell: c.copied}
	defer body.Close()
	_, err := c.Store.Put(ctx, key, body.hashed(), storage.Absent)
	if errors.Is(err, storage.ErrConflict) {
		// Somebody else's copy, or our own whose answer was lost.
		_, wrong, readErr := compareObject(ctx, c.Store, key, t.Name, t.TargetFile, false)
		err = errors.Join(wrong, readErr)
	}
	if err == nil {
		c.count(&c.done.Targets)
	}
	return err
}

// sourceKey is where the bytes of a target are read, under whichever hash.
func (c *copying) sourceKey(t Target) string {
	key, err := c.view.Key(t)
	if err != nil {
		return TargetKey(c.collection(), t.Name, t.Hashes["sha256"])
	}
	return key
}

func (c *copying) copied(n int64) {
	if c.Copying != nil {
		c.Copying(n)
	}
}

func (c *copying) count(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

// roles copies the files of roles, leaves first, and the snapshot.
func (c *copying) roles(ctx context.Context) error {
	var names []string
	for role, err := range c.view.walk(ctx) {
		if err != nil {
			return err
		}
		names = append(names, role)
	}
	for _, role := range slices.Backward(names) {
		f := c.view.Targets[role]
		c.done.Versions[role] = f.Head().Version
		if err := c.write(ctx, role, f.Head().Version, f.Bytes()); err != nil {
			return err
		}
	}
	if err := c.undelegated(ctx); err != nil {
		return err
	}
	snapshot := c.view.Snapshot
	c.done.Versions[tuf.RoleSnapshot] = snapshot.Signed.Version
	return c.write(ctx, tuf.RoleSnapshot, snapshot.Signed.Version, snapshot.Bytes())
}

// undelegated copies the files of roles that the snapshot lists and nothing
// delegates to any more: they are there again as soon as something does.
func (c *copying) undelegated(ctx context.Context) error {
	for name, meta := range c.view.Snapshot.Signed.Meta {
		role, ok := strings.CutSuffix(name, ".json")
		if !ok || isTopLevel(role) || c.view.Targets[role] != nil {
			continue
		}
		data, _, err := storage.Read(ctx, c.Source, SlotKey(c.collection(), role, meta.Version), maxMetadata)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no client asks for it
		}
		if err == nil {
			err = checkContent(meta, data)
		}
		if err != nil {
			return unverified(SlotName(role, meta.Version), err)
		}
		if err := c.write(ctx, role, meta.Version, data); err != nil {
			return err
		}
	}
	return nil
}

// write writes a slot. One that is there has these very bytes, or the mirror is
// one of something else.
func (c *copying) write(ctx context.Context, role string, version int64, data []byte) error {
	key := SlotKey(c.collection(), role, version)
	old, _, err := storage.Read(ctx, c.Store, key, maxMetadata)
	switch {
	case err == nil && bytes.Equal(old, data):
		return nil
	case err == nil:
		return fmt.Errorf("the mirror is one of something else: %w", &BurnedError{Role: role, Version: version})
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err = c.Store.Put(ctx, key, bytes.NewReader(data), storage.Absent); err != nil {
		old, _, readErr := storage.Read(ctx, c.Store, key, maxMetadata)
		if readErr != nil || !bytes.Equal(old, data) {
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
	c.done.Files++
	return nil
}

func (c *copying) writeRoots(ctx context.Context, roots []*tuf.File[tuf.Root]) error {
	for _, root := range roots {
		if err := c.write(ctx, tuf.RoleRoot, root.Signed.Version, root.Bytes()); err != nil {
			return err
		}
	}
	c.done.Versions[tuf.RoleRoot] = int64(len(roots))
	return nil
}

// timestamp makes what was copied the published version.
func (c *copying) timestamp(ctx context.Context, there *tuf.File[tuf.Timestamp], version storage.Version) error {
	ts := c.view.Timestamp
	c.done.Versions[tuf.RoleTimestamp] = ts.Signed.Version
	switch {
	case there == nil || c.restarted || there.Signed.Version < ts.Signed.Version:
	case bytes.Equal(there.Payload(), ts.Payload()):
		return nil
	default:
		return fmt.Errorf("the mirror is one of something else: its timestamp %d is another", ts.Signed.Version)
	}
	key := TimestampKey(c.collection())
	_, putErr := c.Store.Put(ctx, key, bytes.NewReader(ts.Bytes()), version)
	data, _, err := storage.Read(ctx, c.Store, key, MaxTimestamp)
	if err != nil || !bytes.Equal(data, ts.Bytes()) {
		return fmt.Errorf("write %s: %w", key, errors.Join(putErr, err))
	}
	c.done.Files++
	return nil
}
