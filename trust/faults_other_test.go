//go:build !linux

package trust_test

import (
	"errors"

	"publisher/trust"
)

func limitedDiskChild(*trust.Collection, []string) error { return errors.ErrUnsupported }
