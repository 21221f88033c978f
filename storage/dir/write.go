package dir

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"publisher/storage"
)

// staged is a body in a temporary file on its way to key.
type staged struct {
	key  string
	prev storage.Version
	temp string // name in the session's directory, empty once placed
	info fs.FileInfo
}

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	v, err := s.put(ctx, key, body, prev)
	if err != nil {
		return storage.Absent, fmt.Errorf("put %s: %w", key, err)
	}
	return v, nil
}

func (s *Store) put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if err := checkKey(ctx, key); err != nil {
		return storage.Absent, err
	}
	sess, err := s.begin(ctx)
	if err != nil {
		return storage.Absent, err
	}
	defer s.end()
	// A conflict that can be seen already spares the writing.
	if now, err := current(sess.root, key); err != nil {
		return storage.Absent, err
	} else if versionOrAbsent(now) != prev {
		return storage.Absent, storage.ErrConflict
	}
	obj, err := sess.stage(ctx, key, body, prev, (*os.File).Sync)
	if err != nil {
		return storage.Absent, err
	}
	if err := s.place(ctx, sess, []*staged{obj}, false); err != nil {
		sess.drop(obj)
		return storage.Absent, err
	}
	return version(obj.info), nil
}

// buffers are for copying. They are large because each write of a large file
// costs, and shared because most files are small.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// stage writes body to a temporary file and calls sync on it. After an error
// there is no file.
func (sess *session) stage(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version, sync func(*os.File) error) (_ *staged, err error) {
	r, err := storage.NewBodyReader(ctx, body)
	if err != nil {
		return nil, err
	}
	obj := &staged{key: key, prev: prev, temp: strconv.FormatInt(sess.count.Add(1), 36)}
	// O_NONBLOCK means nothing for a file, but spares four system calls in which
	// Go finds out that it cannot wait for one.
	f, err := sess.temps.OpenFile(obj.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NONBLOCK, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			sess.drop(obj)
		}
	}()
	if err := write(f, r); err != nil {
		return nil, err
	}
	if err := sync(f); err != nil {
		return nil, err
	}
	obj.info, err = f.Stat()
	return obj, err
}

// drop removes the temporary file of an object that was not placed.
func (sess *session) drop(obj *staged) {
	if obj.temp != "" {
		sess.temps.Remove(obj.temp) // or else the end of the session does
	}
}

func write(f *os.File, body io.Reader) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	// Not io.Copy: *os.File brings its own buffer, a new one for each file.
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// outdate makes the time of a staged file later than that of the object that
// it replaces, so that no Version comes back: the clock of a file system may
// stand still for 10 ms, and others' clocks may be ahead.
func (sess *session) outdate(obj *staged, old fs.FileInfo) (err error) {
	if obj.info.ModTime().After(old.ModTime()) {
		return nil
	}
	later := old.ModTime().Truncate(time.Microsecond).Add(time.Microsecond)
	if err := sess.temps.Chtimes(obj.temp, later, later); err != nil {
		return err
	}
	obj.info, err = sess.temps.Stat(obj.temp)
	return err
}
