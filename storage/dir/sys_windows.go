package dir

import (
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Windows cannot lock a directory. The lock lies beside the store, where it
// is neither served nor listed; that of a session is never seen for long.

func rootLock(dir string) string    { return dir + ".lock" }
func sessionLock(dir string) string { return filepath.Join(dir, "lock") }

func newFlock(path string) *flock.Flock { return flock.New(path) }

// syncFile does nothing: Windows has no way to sync a directory.
func syncFile(*os.File) error { return nil }
