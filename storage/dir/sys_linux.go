package dir

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// create moves a staged file to its key in dir unless that exists. Relative to
// open directories it costs one system call, which is why it is not os.Root's.
func (sess *session) create(dir *openDir, obj *staged) error {
	from, to, name := sess.dir.fd, dir.fd, path.Base(obj.key)
	err := unix.Renameat2(from, obj.temp, to, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // NFS and others cannot
		if err = unix.Linkat(from, obj.temp, to, name, 0); err == nil {
			err = unix.Unlinkat(from, obj.temp, 0)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: obj.temp, New: obj.key, Err: err}
	}
	return nil
}

// replace moves a staged file to its key in dir.
func (sess *session) replace(dir *openDir, obj *staged) error {
	if err := unix.Renameat(sess.dir.fd, obj.temp, dir.fd, path.Base(obj.key)); err != nil {
		return &os.LinkError{Op: "rename", Old: obj.temp, New: obj.key, Err: err}
	}
	return nil
}

// syncLater leaves the file to syncAll.
func syncLater(*os.File) error { return nil }

// syncDirLater leaves the directory to syncAll.
func syncDirLater(*os.File) error { return nil }

// syncAll makes the whole file system durable: for many files that is far
// cheaper than one at a time.
func syncAll(dir *openDir) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(dir.fd))
}
