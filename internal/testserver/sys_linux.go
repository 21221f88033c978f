package testserver

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the server end with a test binary that is killed or panics.
// The signal comes when the thread that started it ends, see run.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// hasXattrs reports whether files in dir can have extended attributes.
func hasXattrs(dir string) bool {
	return unix.Setxattr(dir, "user.publisher-test", []byte("x"), 0) == nil
}
