// Package durable changes files so that a crash at any point leaves the old
// state or the new one, and so that what was reported done survives a power
// cut.
package durable

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// tempPrefix starts the names of files on their way to another name.
const tempPrefix = ".tmp-"

// WriteFile stores data under name, in place of what is there. Readers see all
// of the old content or all of the new, and so do those who look after an
// error or a crash. The umask applies to perm. The directory must exist.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return write("write", name, data, perm, os.Rename)
}

// CreateFile is WriteFile for a name that must not exist: of any number of
// concurrent callers one succeeds, the others get an error wrapping
// fs.ErrExist.
func CreateFile(name string, data []byte, perm fs.FileMode) error {
	return write("create", name, data, perm, MoveNew)
}

func write(op, name string, data []byte, perm fs.FileMode, move func(from, to string) error) error {
	dir := filepath.Dir(name)
	temp := filepath.Join(dir, tempPrefix+rand.Text())
	err := writeTemp(temp, data, perm)
	if err == nil {
		err = move(temp, name)
	}
	if err == nil {
		err = SyncDir(dir)
	}
	if err != nil {
		os.Remove(temp) // if it is there still; the first error is the one to tell
		return pathError(op, name, err)
	}
	return nil
}

func writeTemp(temp string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// MoveNew renames a file to a name that does not exist. Not every file system
// has hard links (a USB stick with the root keys has none) and not every one
// can rename without replacing (NFS cannot): one of the two will do.
func MoveNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if renameErr := renameNew(from, to); !errors.Is(renameErr, errors.ErrUnsupported) {
		return renameErr
	}
	return err
}

// MkdirAll makes a directory and the missing ones above it, all with perm less
// the umask. It is no error if the directory exists, also as a symbolic link.
func MkdirAll(dir string, perm fs.FileMode) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil {
		// Somebody else may have made it, and not have got to the sync yet.
		if info, statErr := os.Stat(dir); statErr != nil || !info.IsDir() {
			return err
		}
	}
	return SyncDir(parent)
}

// SyncDir makes the names in a directory durable: those that were added, and
// the absence of those that were removed. It does nothing where the system has
// no such call.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some network file systems
	}
	return errors.Join(err, d.Close())
}

// Sweep removes what writers that were killed have left in a directory. The
// caller makes sure that nobody is writing there.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// pathError tells a failure under the name that the caller knows, not that of
// the temporary file.
func pathError(op, name string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
