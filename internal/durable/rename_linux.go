package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNew renames a file without replacing another. The error wraps
// errors.ErrUnsupported where the file system cannot.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL {
		return errors.ErrUnsupported
	}
	return err
}
