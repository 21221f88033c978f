package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"publisher/storage"
)

// List implements storage.Store. It holds one directory of each level in
// memory; objects that are written meanwhile may or may not be seen.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		if !storage.CanBegin(prefix) || strings.HasPrefix(prefix, tempDir+"/") {
			return
		}
		root, err := os.OpenRoot(s.path)
		if err == nil {
			defer root.Close()
			l := lister{ctx, root, prefix, yield}
			dir, _ := path.Split(prefix)
			_, err = l.walk(strings.TrimSuffix(dir, "/"))
		}
		if err != nil && !errors.Is(missing(err), fs.ErrNotExist) {
			yield(storage.Entry{}, fmt.Errorf("list %s: %w", prefix, err))
		}
	}
}

type lister struct {
	ctx    context.Context
	root   *os.Root
	prefix string
	yield  func(storage.Entry, error) bool
}

// walk yields what is below dir until the consumer has enough.
func (l *lister) walk(dir string) (goOn bool, err error) {
	names, err := l.read(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if err := l.ctx.Err(); err != nil {
			return false, err
		}
		key := path.Join(dir, name.Name())
		switch {
		case name.IsDir():
			if !l.reaches(key + "/") {
				continue
			}
			goOn, err = l.walk(key)
			if errors.Is(err, fs.ErrNotExist) { // emptied and removed meanwhile
				goOn, err = true, nil
			}
		case strings.HasPrefix(key, l.prefix) && name.Type().IsRegular():
			goOn, err = l.entry(key, name)
		default:
			continue
		}
		if err != nil || !goOn {
			return false, err
		}
	}
	return true, nil
}

// reaches reports whether keys with the prefix can lie in dir.
func (l *lister) reaches(dir string) bool {
	return dir != tempDir+"/" && (strings.HasPrefix(dir, l.prefix) || strings.HasPrefix(l.prefix, dir))
}

func (l *lister) entry(key string, name fs.DirEntry) (goOn bool, err error) {
	info, err := name.Info()
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return l.yield(storage.Entry{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil), nil
}

// read returns the entries of dir in the order of the keys: a directory stands
// where its slash puts it.
func (l *lister) read(dir string) ([]fs.DirEntry, error) {
	f, err := l.root.Open(filepath.FromSlash(cmp.Or(dir, ".")))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.ReadDir(-1)
	sortName := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(names, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return names, err
}
