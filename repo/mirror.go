package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

	// FirstRoot is the first root, where those before it are gone: who trusts one of
	// them cannot come here.
	FirstRoot int64 `json:"first_root,omitempty"`

	// Moved says that the keys of the source were replaced since the last copy, and
	// that old and new ones no longer sign together: while it was copied, for a
	// moment, clients may have been refused.
	Moved bool `json:"moved,omitempty"`
}

var (
	// ErrAhead reports another store that has a newer version than the source.
	ErrAhead = errors.New("the mirror is ahead of the source")

	// ErrOther reports another store that was not copied from this source: a slot,
	// or a timestamp of the same version, has other bytes.
	ErrOther = errors.New("the mirror is one of something else")

	// ErrUnversioned reports a source whose files have no versions in their names
	// (consistent_snapshot is false; TUF specification, section 6.2): in a mirror they
	// would have to be replaced while clients read them.
	ErrUnversioned = errors.New("the source has no versions in the names of its files: consistent_snapshot is false")
)

// A DamagedError reports an object of a mirror that is not what its name says.
// Nobody but its owner can tell how that came, so it is left as it is.
type DamagedError struct {
	Key string
	Err error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s of the mirror: %v", e.Key, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

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
		return nil, 0, ErrUnversioned
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

// Copy copies the version that Load has verified. After an error clients of the
// mirror find what was there before, or all of the new version. The error wraps
// ErrAhead or ErrOther, and nothing was written, where the other store has
// something else than an older version of the same collection; it is a
// *DamagedError where something there cannot be relied upon.
func (m *Mirror) Copy(ctx context.Context, v *View) (*Mirrored, error) {
	c := &copying{Mirror: m, view: v, done: &Mirrored{Versions: map[string]int64{}}}
	rootsFirst := false
	steps := []func() error{
		func() error { return c.readRoots(ctx) },
		func() error { return c.compareRoots(ctx) },
		func() error { return c.published(ctx) },
		func() (err error) { rootsFirst, err = c.order(ctx); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	writes := []func(context.Context) error{c.targets, c.roles, c.timestamp, c.writeRoots}
	if rootsFirst {
		writes = []func(context.Context) error{c.targets, c.roles, c.writeRoots, c.timestamp}
	}
	for _, write := range writes {
		if err := write(ctx); err != nil {
			return nil, err
		}
	}
	return c.done, nil
}

// copying is one run of a Mirror.
type copying struct {
	*Mirror
	view  *View
	roots []*tuf.File[tuf.Root] // of the source, the first first

	// What the mirror has: the timestamp, nil for none; the newest of roots, nil for
	// none; and those of roots that it lacks.
	there   *tuf.File[tuf.Timestamp]
	version storage.Version
	newest  *tuf.File[tuf.Root]
	lacks   []*tuf.File[tuf.Root]

	// restarted says that the source has forgotten the timestamp of the mirror: its
	// keys were replaced, and versions may have fallen with them.
	restarted bool

	mu   sync.Mutex
	done *Mirrored
}

func (c *copying) collection() string { return c.Loader.Collection }

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
	err := c.compareTarget(ctx, key, t)
	if !errors.Is(err, fs.ErrNotExist) {
		c.count(&c.done.Present)
		c.copied(t.Length)
		return err
	}
	body := &remote{ctx: ctx, source: c.Source, keys: c.sourceKeys(t), want: t.TargetFile, tell: c.copied}
	defer body.Close()
	_, err = c.Store.Put(ctx, key, body.hashed(), storage.Absent)
	if errors.Is(err, storage.ErrConflict) {
		// Somebody else's copy, or our own whose answer was lost.
		err = c.compareTarget(ctx, key, t)
	}
	if err == nil {
		c.count(&c.done.Targets)
	}
	return err
}

// compareTarget compares an object of the mirror with its listing: by the SHA-256
// that the store vouches for, or else by its bytes. The error wraps
// fs.ErrNotExist if it is not there.
func (c *copying) compareTarget(ctx context.Context, key string, t Target) error {
	info, err := storage.Stat(ctx, c.Store, key)
	if err != nil {
		return err
	}
	var wrong error
	if info.Size >= 0 {
		wrong = compareInfo(info, t.Name, t.TargetFile)
	}
	if wrong == nil && (info.Size < 0 || info.SHA256 == nil || t.Hashes["sha256"] == "") {
		wrong, err = compareBytes(ctx, c.Store, key, t.Name, t.TargetFile)
	}
	if wrong != nil {
		return &DamagedError{key, wrong}
	}
	return err
}

// sourceKeys is where the bytes of a target may lie in the source: under one or
// more of its hashes; TUF specification, section 6.2.
func (c *copying) sourceKeys(t Target) []string {
	var keys []string
	for _, algorithm := range slices.Sorted(maps.Keys(t.Hashes)) {
		keys = append(keys, TargetKey(c.collection(), t.Name, t.Hashes[algorithm]))
	}
	return keys
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
	case err == nil, errors.Is(err, storage.ErrTooLarge):
		return otherSlot(role, version)
	case errors.Is(err, storage.ErrDamaged):
		return &DamagedError{key, err}
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

func otherSlot(role string, version int64) error {
	return fmt.Errorf("%w: it has another %s", ErrOther, SlotName(role, version))
}

func (c *copying) writeRoots(ctx context.Context) error {
	for _, root := range c.lacks {
		if err := c.write(ctx, tuf.RoleRoot, root.Signed.Version, root.Bytes()); err != nil {
			return err
		}
	}
	c.done.Versions[tuf.RoleRoot] = c.view.Root().Signed.Version
	if first := c.roots[0].Signed.Version; first > 1 {
		c.done.FirstRoot = first
	}
	return nil
}

// timestamp makes what was copied the published version.
func (c *copying) timestamp(ctx context.Context) error {
	ts := c.view.Timestamp
	c.done.Versions[tuf.RoleTimestamp] = ts.Signed.Version
	if c.there != nil && bytes.Equal(c.there.Bytes(), ts.Bytes()) {
		return nil
	}
	key := TimestampKey(c.collection())
	_, putErr := c.Store.Put(ctx, key, bytes.NewReader(ts.Bytes()), c.version)
	data, _, err := storage.Read(ctx, c.Store, key, MaxTimestamp)
	if err != nil || !bytes.Equal(data, ts.Bytes()) {
		return fmt.Errorf("write %s: %w", key, errors.Join(putErr, err))
	}
	c.done.Files++
	return nil
}
