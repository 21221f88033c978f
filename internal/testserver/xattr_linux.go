package testserver

import "golang.org/x/sys/unix"

// hasXattrs reports whether files in dir can have extended attributes.
func hasXattrs(dir string) bool {
	return unix.Setxattr(dir, "user.publisher-test", []byte("x"), 0) == nil
}
