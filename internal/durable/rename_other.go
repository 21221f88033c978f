//go:build !linux && !windows

package durable

import "errors"

// renameNew says that it cannot rename without replacing.
func renameNew(_, _ string) error { return errors.ErrUnsupported }
