//go:build !linux

package testserver

// hasXattrs does not try: versitygw works without, if slower.
func hasXattrs(string) bool { return false }
