//go:build !linux

package testserver

import "os/exec"

// dieWithParent cannot be had here.
func dieWithParent(*exec.Cmd) {}

// hasXattrs does not try: versitygw works without, if slower.
func hasXattrs(string) bool { return false }
