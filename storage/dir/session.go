package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// A session owns a directory of temporary files for as long as this Store is
// writing anything. It holds a lock on it, which the system releases when the
// process ends however it ends: that tells others whose files are leftovers.
type session struct {
	root  *os.Root // of the store
	temps *os.Root // below it, <tempDir>/<random>
	dir   *openDir // temps, for the calls that need a descriptor
	name  string   // slash-separated, relative to the store
	alive *flock.Flock
	users int          // guarded by Store.mu
	count atomic.Int64 // of temporary files
}

// lock serializes all changes of what is visible, in this process and others.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	s.mu.Lock()
	l := newFlock(rootLock(s.path))
	// Polling can be interrupted; waiting in flock(2) cannot. The lock is held
	// for a few system calls at a time, rarely by another process.
	if _, err := l.TryLockContext(ctx, 2*time.Millisecond); err != nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("lock %s: %w", s.path, err)
	}
	return func() {
		l.Close()
		s.mu.Unlock()
	}, nil
}

// begin joins the session, and starts it if nobody has.
func (s *Store) begin(ctx context.Context) (*session, error) {
	if err := mkdirDurable(s.path); err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s.sess == nil {
		if s.sess, err = newSession(s.path); err != nil {
			return nil, fmt.Errorf("make a directory for temporary files: %w", err)
		}
	}
	s.sess.users++
	return s.sess, nil
}

// end leaves the session; the last one removes it.
func (s *Store) end() {
	// Without the lock the removal of tempDir could meet another's creation in
	// it. A background context: the caller's may be what ended the work.
	unlock, err := s.lock(context.Background())
	if err != nil {
		return // what is left is found by the next session
	}
	defer unlock()
	if s.sess.users--; s.sess.users == 0 {
		s.sess.remove()
		s.sess = nil
	}
}

// newSession is called under the lock: nobody may take its directory for a
// leftover before it is locked.
func newSession(path string) (_ *session, err error) {
	sess := &session{name: tempDir + "/" + rand.Text()}
	defer func() {
		if err != nil {
			sess.remove()
		}
	}()
	if sess.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	if err := sess.root.Mkdir(tempDir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	removeLeftovers(sess.root, path)
	if err := sess.root.Mkdir(sess.name, 0o777); err != nil {
		return nil, err
	}
	if sess.temps, err = sess.root.OpenRoot(sess.name); err != nil {
		return nil, err
	}
	if sess.dir, err = openDirIn(sess.temps, "."); err != nil {
		return nil, err
	}
	sess.alive = newFlock(sessionLock(filepath.Join(path, sess.name)))
	if _, err := sess.alive.TryLock(); err != nil {
		return nil, err
	}
	return sess, nil
}

// remove leaves no trace of the session. It may be half made.
func (sess *session) remove() {
	if sess.alive != nil {
		sess.alive.Close()
	}
	if sess.dir != nil {
		sess.dir.Close()
	}
	if sess.temps != nil {
		sess.temps.Close()
	}
	if sess.root != nil {
		sess.root.RemoveAll(sess.name)
		sess.root.Remove(tempDir) // fails while others have sessions
		sess.root.Close()
	}
}

// removeLeftovers removes the temporary files of processes that are gone. It
// is called under the lock. Whatever cannot be removed is left for another day.
func removeLeftovers(root *os.Root, path string) {
	dir, err := root.Open(tempDir)
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.ReadDir(-1)
	for _, name := range names {
		if !name.IsDir() {
			continue
		}
		owner := newFlock(sessionLock(filepath.Join(path, tempDir, name.Name())))
		if gone, err := owner.TryLock(); gone && err == nil {
			root.RemoveAll(filepath.Join(tempDir, name.Name()))
		}
		owner.Close()
	}
}

// mkdirDurable makes a directory and its parents as os.MkdirAll does, and makes
// sure that they stay.
func mkdirDurable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := mkdirDurable(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o777); err != nil {
		if errors.Is(err, fs.ErrExist) { // another process was faster
			return nil
		}
		return err
	}
	root, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	return syncDir(root, ".")
}
