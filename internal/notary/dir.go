package notary

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Dir is a directory with the files of one collection.
type Dir struct{ root *os.Root }

// OpenDir finds a collection in a directory: Notary's trust directory, the
// directory of the collection in it, or one with its files. The error wraps
// fs.ErrNotExist if it is in none of these places.
func OpenDir(dir, gun string) (*Dir, error) {
	places := []string{filepath.Join(dir, "metadata"), dir}
	if name := filepath.FromSlash(gun); filepath.IsLocal(name) {
		places = append([]string{filepath.Join(dir, "tuf", name, "metadata")}, places...)
	}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, "root.json")); err == nil {
			root, err := os.OpenRoot(place)
			return &Dir{root}, err
		}
	}
	return nil, fmt.Errorf("no root.json of %s in %s: %w", gun, dir, fs.ErrNotExist)
}

// Close gives the directory back.
func (d *Dir) Close() error { return d.root.Close() }

// Read implements Source. No name and no symbolic link leads out of the
// directory.
func (d *Dir) Read(_ context.Context, name string, max int64) ([]byte, error) {
	f, err := d.root.Open(filepath.FromSlash(name + ".json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: %w", f.Name(), fs.ErrInvalid)
	}
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(data)) > max {
		err = fmt.Errorf("%s has more than %d bytes", f.Name(), max)
	}
	return data, err
}

// GUNs returns the names of the collections in Notary's trust directory, sorted.
func GUNs(dir string) []string {
	var found []string
	root := filepath.Join(dir, "tuf")
	_ = filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read is not offered
		}
		if rel, err := filepath.Rel(root, file); err == nil {
			if gun, ok := strings.CutSuffix(filepath.ToSlash(rel), "/metadata/root.json"); ok {
				found = append(found, path.Clean(gun))
			}
		}
		return nil
	})
	slices.Sort(found)
	return found
}
