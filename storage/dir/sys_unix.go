//go:build !windows

package dir

import (
	"os"

	"github.com/gofrs/flock"
)

// Directories can be locked themselves, so that no lock file is left behind.

func rootLock(dir string) string    { return dir }
func sessionLock(dir string) string { return dir }

func newFlock(path string) *flock.Flock { return flock.New(path, flock.SetFlag(os.O_RDONLY)) }

func syncFile(dir *os.File) error { return dir.Sync() }
