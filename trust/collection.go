package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"publisher/internal/durable"
)

const (
	settingsFile   = "settings.json"
	metadataDir    = "metadata"
	changelistFile = "changelist.jsonl"
)

// A Collection is the local side of one collection. Its methods fail with an
// error wrapping fs.ErrNotExist until it is created, and refuse a name that
// cannot be one of a collection, without touching anything.
type Collection struct {
	trust *Dir
	name  string
	dir   string
}

// Name is the collection's name.
func (c *Collection) Name() string { return c.name }

func (c *Collection) file(name string) string { return filepath.Join(c.dir, name) }

// Create makes the collection, all of it or nothing: fill puts the verified
// root into the cache of a draft, which becomes the collection when fill
// returns nil. An error of fill is returned as it is. It fails with
// fs.ErrExist, before fill, if the collection exists, and with ErrUnsynced if
// the collection was made all the same.
//
// The caller holds Lock, so that what a killed Create has left can be told from
// one at work.
func (c *Collection) Create(s Settings, fill func(*Cache) error) error {
	switch err := c.check(); {
	case err == nil:
		return c.exists()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	draft := &Collection{trust: c.trust, name: c.name, dir: c.limbo()}
	if err := draft.begin(s); err != nil {
		return fmt.Errorf("create collection %s: %w", c.name, errors.Join(err, draft.discard()))
	}
	if err := fill(draft.Cache()); err != nil {
		return errors.Join(err, draft.discard())
	}
	err := move(draft.dir, c.dir)
	switch {
	case errors.Is(err, fs.ErrExist):
		return errors.Join(c.exists(), draft.discard())
	case errors.Is(err, ErrUnsynced):
		return fmt.Errorf("create collection %s: %w", c.name, err)
	case err != nil:
		return fmt.Errorf("create collection %s: %w", c.name, errors.Join(err, draft.discard()))
	}
	return nil
}

func (c *Collection) exists() error {
	return fmt.Errorf("collection %s in %s: %w", c.name, c.trust.path, fs.ErrExist)
}

// limbo is where the directory is while the collection is not yet, or no more.
func (c *Collection) limbo() string {
	return c.trust.join("collections", ".new", filepath.Base(c.dir))
}

func (c *Collection) begin(s Settings) error {
	if err := c.discard(); err != nil {
		return err
	}
	if err := durable.MkdirAll(c.file(metadataDir), dirMode); err != nil {
		return err
	}
	return c.writeSettings(s)
}

func (c *Collection) discard() error { return os.RemoveAll(c.limbo()) }

// Delete removes all that is stored locally about the collection: settings,
// cache, staged changes. Keys stay. The caller holds Lock.
func (c *Collection) Delete() error {
	if err := c.check(); err != nil {
		return err
	}
	err := c.discard()
	if err == nil {
		err = durable.MkdirAll(filepath.Dir(c.limbo()), dirMode)
	}
	if err == nil {
		err = move(c.dir, c.limbo()) // now it is gone for everybody, in one step
	}
	if err == nil {
		err = c.discard()
	}
	if err != nil {
		return fmt.Errorf("delete collection %s: %w", c.name, err)
	}
	return nil
}

// ErrUnsynced reports a change that was made and may not outlast a power cut.
var ErrUnsynced = errors.New("it is done, but a power cut may undo it")

// move renames a directory, durably: an error that is not ErrUnsynced means that
// it was not renamed.
func move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := errors.Join(durable.SyncDir(filepath.Dir(to)), durable.SyncDir(filepath.Dir(from))); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsynced, err)
	}
	return nil
}

// check fails unless the collection exists.
func (c *Collection) check() error {
	if err := checkCollection(c.name); err != nil {
		return err
	}
	_, err := os.Stat(c.file(settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("collection %s in %s: %w", c.name, c.trust.path, fs.ErrNotExist)
	}
	return err
}

// Lock keeps the collection from all others who call Lock, in this process and
// in others, until unlock is called or the process ends. If it has to wait it
// calls waiting first, once; it waits until ctx is done. The collection need
// not exist. Lock is for commands as a whole: no other method needs it except
// where it says so, and none takes it.
func (c *Collection) Lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	if err := checkCollection(c.name); err != nil {
		return nil, err
	}
	lock, err := c.trust.lockFile("use", filepath.Base(c.dir))
	if err != nil {
		return nil, err
	}
	got, err := lock.TryLock()
	if err == nil && !got {
		waiting()
		_, err = lock.TryLockContext(ctx, 50*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	return func() { lock.Unlock() }, nil // closing the file gives the lock back, whatever it returns
}

// change runs f on the existing collection while no other process writes to it,
// after what killed writers left in dir is removed.
func (c *Collection) change(dir string, f func() error) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.trust.locked("write", filepath.Base(c.dir), func() error {
		if err := durable.Sweep(dir); err != nil {
			return err
		}
		return f()
	})
}
