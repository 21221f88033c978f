//go:build !linux

package dir

import (
	"os"
	"path/filepath"
)

// create moves a staged file to its key unless that exists.
func (sess *session) create(_ *openDir, obj *staged) error {
	if err := sess.root.Link(filepath.FromSlash(sess.name+"/"+obj.temp), filepath.FromSlash(obj.key)); err != nil {
		return err
	}
	return sess.temps.Remove(obj.temp)
}

// replace moves a staged file to its key.
func (sess *session) replace(_ *openDir, obj *staged) error {
	return sess.root.Rename(filepath.FromSlash(sess.name+"/"+obj.temp), filepath.FromSlash(obj.key))
}

// syncLater does not wait: there is no call to sync all files at once.
func syncLater(f *os.File) error { return f.Sync() }

// syncDirLater does not wait either.
func syncDirLater(dir *os.File) error { return syncFile(dir) }

// syncAll has nothing left to do.
func syncAll(*openDir) error { return nil }
