// Package dir stores objects as files below one directory, durably, and safe
// between any number of processes on one machine.
//
// An object appears under its key whole or not at all: it is written to a
// temporary file, made durable, and moved into place. Everything that changes
// what is visible happens under one lock on the directory (flock), so nothing
// but this package may write there. Symbolic links that lead out of the
// directory are refused.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"publisher/storage"
)

// tempDir holds the temporary files, in one directory per session. It exists
// only while something is being written.
const tempDir = ".tmp"

// A Store is a directory. It implements storage.Stater (without SHA-256: a file
// system vouches for nothing), storage.Deleter and storage.Batcher.
//
// The Version of an object is its length and time of modification; that time
// is made to grow with every replacement, so no Version returns while an object
// exists. The file system has to keep microseconds.
type Store struct {
	path string

	mu   sync.Mutex // guards the fields below, and is taken before the file lock
	sess *session   // nil while nothing is being written
}

// Open returns the store in the directory path. Nothing is created before the
// first Put; a directory that does not exist is an empty store.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, fmt.Errorf("open directory store: %w: empty path", fs.ErrInvalid)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open directory store %s: %w", path, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open directory store: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("open directory store %s: %w", path, syscall.ENOTDIR)
	}
	return &Store{path: abs}, nil
}

// checkKey refuses the keys no store takes, and those of our temporary files.
func checkKey(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == tempDir || strings.HasPrefix(key, tempDir+"/") {
		return fmt.Errorf("object key %q: %w: reserved for temporary files", key, fs.ErrInvalid)
	}
	return storage.CheckKey(key)
}

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.get(ctx, key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("get %s: %w", key, err)
	}
	return obj, nil
}

func (s *Store) get(ctx context.Context, key string) (storage.Object, error) {
	f, info, err := s.open(ctx, key)
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{Body: f, Size: info.Size(), Version: version(info), Modified: info.ModTime()}, nil
}

// Stat implements storage.Stater.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	f, info, err := s.open(ctx, key)
	if err != nil {
		return storage.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	f.Close()
	return storage.Info{Size: info.Size(), Version: version(info), Modified: info.ModTime()}, nil
}

// open opens the file of an object. Anything but a regular file is no object.
func (s *Store) open(ctx context.Context, key string) (*os.File, fs.FileInfo, error) {
	if err := checkKey(ctx, key); err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return nil, nil, missing(err)
	}
	defer root.Close()
	// Without O_NONBLOCK a FIFO would block the open until somebody writes.
	f, err := root.OpenFile(filepath.FromSlash(key), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, missing(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// missing adds fs.ErrNotExist to the error for a key below another object.
func missing(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func version(info fs.FileInfo) storage.Version {
	return storage.Version(strconv.FormatInt(info.Size(), 10) + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 10))
}

// current returns the state of an object; nil if it does not exist.
func current(root *os.Root, key string) (fs.FileInfo, error) {
	info, err := root.Stat(filepath.FromSlash(key))
	if errors.Is(missing(err), fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// Delete implements storage.Deleter. Directories that it empties are removed.
func (s *Store) Delete(ctx context.Context, key string, prev storage.Version) error {
	if err := s.delete(ctx, key, prev); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (s *Store) delete(ctx context.Context, key string, prev storage.Version) error {
	if err := checkKey(ctx, key); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	switch info, err := current(root, key); {
	case err != nil:
		return err
	case info == nil || !info.Mode().IsRegular():
		return fs.ErrNotExist
	case version(info) != prev:
		return storage.ErrConflict
	}
	if err := root.Remove(filepath.FromSlash(key)); err != nil {
		return err
	}
	parent := path.Dir(key)
	for parent != "." && root.Remove(filepath.FromSlash(parent)) == nil {
		parent = path.Dir(parent)
	}
	return syncDir(root, parent)
}
