// Package trust keeps what a user has locally: private keys, and for each
// collection its settings, the metadata that was verified last, and the changes
// that wait for publish. It is files in one directory and nothing else:
//
//	private/<key id>.key                     a private key, PEM
//	collections/<collection>/settings.json   where the collection is
//	collections/<collection>/metadata/       verified metadata: root.json, timestamp.json, …
//	collections/<collection>/changelist.jsonl
//	                                         staged changes: one line for each Append, a JSON array
//	collections/<collection>/pending.json    the submission that was left for an online signer, if it may be unanswered
//	collections/<collection>/drafts/         submissions whose signatures are being collected
//	collections/.new/<collection>/           a collection being created or deleted
//	locks/                                   empty files, never removed
//
// A collection's "/" is written as "+". Files are 0600, directories 0700. What a
// method has reported done survives a power cut; what it was doing when the
// machine failed is done or not done, never half.
//
// A missing file is an error wrapping [fs.ErrNotExist]; a name that cannot be
// stored one wrapping [fs.ErrInvalid], or [repo.ErrCollectionName] if it is a
// collection's. Everything is safe for use by any number of goroutines and
// processes.
package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"publisher/internal/durable"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// A Dir is a trust directory. It comes into being with the first write.
type Dir struct{ path string }

// Open returns the trust directory at path. It touches nothing.
func Open(path string) *Dir { return &Dir{path} }

// Path is the path given to Open.
func (d *Dir) Path() string { return d.path }

// Keys returns the private keys of the directory.
func (d *Dir) Keys() *Keys { return &Keys{d} }

// Collection returns the local side of a collection, which may not exist.
func (d *Dir) Collection(name string) *Collection {
	return &Collection{trust: d, name: name, dir: d.join("collections", flat(name))}
}

// Collections returns the names of the collections that exist, sorted.
func (d *Dir) Collections() ([]string, error) {
	entries, err := readDir(d.join("collections"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := unflat(e.Name())
		if checkCollection(name) != nil {
			continue
		}
		_, err := os.Stat(d.Collection(name).file(settingsFile))
		switch {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *Dir) join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// lockFile returns the lock of that name. Locks stand apart from what they
// protect and are never removed: who waits for a lock must not be left holding
// one that the next comer does not see.
func (d *Dir) lockFile(kind, name string) (*flock.Flock, error) {
	dir := d.join("locks", kind)
	if err := durable.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	return flock.New(filepath.Join(dir, name), flock.SetPermissions(fileMode)), nil
}

// locked runs f while nobody else does so under the same lock. It is for the
// moment of a write: f does not wait for anything.
func (d *Dir) locked(kind, name string, f func() error) (err error) {
	lock, err := d.lockFile(kind, name)
	if err != nil {
		return err
	}
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return f()
}

// readDir is os.ReadDir that takes a missing directory for an empty one.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
