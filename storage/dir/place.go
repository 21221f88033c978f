package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"publisher/storage"
)

// place moves staged files to their keys, one directory after the other, and
// makes each directory durable before the next, or, if they are many, all of
// them together. Conflicts are collected, and their temporary files left; any
// other error ends it.
func (s *Store) place(ctx context.Context, sess *session, objs []*staged, together bool) error {
	slices.SortStableFunc(objs, func(a, b *staged) int {
		return strings.Compare(path.Dir(a.key), path.Dir(b.key))
	})
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sync := syncFile
	if together {
		sync = syncDirLater
	}
	conflicts, err := sess.placeAll(ctx, objs, sync)
	if together {
		// Also what was placed before an error: others see it already.
		err = errors.Join(err, syncAll(sess.dir))
	}
	return errors.Join(append(conflicts, err)...)
}

func (sess *session) placeAll(ctx context.Context, objs []*staged, sync func(*os.File) error) (conflicts []error, err error) {
	for len(objs) > 0 {
		if err := ctx.Err(); err != nil {
			return conflicts, err
		}
		dir, n := path.Dir(objs[0].key), 1
		for n < len(objs) && path.Dir(objs[n].key) == dir {
			n++
		}
		lost, err := sess.placeIn(dir, objs[:n], sync)
		conflicts = append(conflicts, lost...)
		if err != nil {
			return conflicts, err
		}
		objs = objs[n:]
	}
	return conflicts, nil
}

// placeIn places objects that have one directory in common.
func (sess *session) placeIn(name string, objs []*staged, sync func(*os.File) error) (conflicts []error, err error) {
	dir, err := makeDir(sess.root, name, sync)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	for _, obj := range objs {
		switch err := sess.placeOne(dir, obj); {
		case errors.Is(err, storage.ErrConflict):
			conflicts = append(conflicts, fmt.Errorf("%s: %w", obj.key, err))
		case err != nil:
			return conflicts, err
		}
	}
	return conflicts, sync(dir.File)
}

func (sess *session) placeOne(dir *openDir, obj *staged) error {
	move := sess.create
	if obj.prev != storage.Absent {
		// The lock keeps everybody else out between the look and the rename.
		if err := sess.settle(obj); err != nil {
			return err
		}
		move = sess.replace
	}
	err := move(dir, obj)
	if obj.prev == storage.Absent && errors.Is(err, fs.ErrExist) {
		return storage.ErrConflict
	}
	if err == nil {
		obj.temp = ""
	}
	return err
}

// settle fixes the Version of a staged object, which depends on the one that it
// replaces. The flush then finds the same object there, or a conflict.
func (sess *session) settle(obj *staged) error {
	if obj.prev == storage.Absent {
		return nil
	}
	old, err := current(sess.root, obj.key)
	if err != nil {
		return err
	}
	if versionOrAbsent(old) != obj.prev {
		return storage.ErrConflict
	}
	return sess.outdate(obj, old)
}

func versionOrAbsent(info fs.FileInfo) storage.Version {
	if info == nil || !info.Mode().IsRegular() {
		return storage.Absent
	}
	return version(info)
}

// makeDir opens a directory, which it makes if it is missing, as durable as
// sync makes its parent.
func makeDir(root *os.Root, name string, sync func(*os.File) error) (*openDir, error) {
	dir, err := openDirIn(root, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	parent, err := makeDir(root, path.Dir(name), sync)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := root.Mkdir(filepath.FromSlash(name), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := sync(parent.File); err != nil {
		return nil, err
	}
	return openDirIn(root, name)
}

// openDir is a directory with its descriptor at hand: each call of os.File.Fd
// costs system calls.
type openDir struct {
	*os.File
	fd int
}

func openDirIn(root *os.Root, name string) (*openDir, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	return &openDir{f, int(f.Fd())}, nil
}

// syncDir makes the entries of a directory durable.
func syncDir(root *os.Root, name string) error {
	dir, err := openDirIn(root, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return syncFile(dir.File)
}
