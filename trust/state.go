package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/internal/durable"
)

// readState reads what a file of the collection says of something under way, of
// which there is at most one. The error wraps fs.ErrNotExist if nothing is.
func readState[T interface{ complete() error }](c *Collection, name string) (state T, err error) {
	var none T
	if err := c.check(); err != nil {
		return none, err
	}
	data, err := os.ReadFile(c.file(name))
	if err != nil {
		return none, err
	}
	if err = json.Unmarshal(data, &state, json.RejectUnknownMembers(true)); err == nil {
		err = state.complete()
	}
	if err != nil {
		return none, fmt.Errorf("read %s: %w", c.file(name), err)
	}
	return state, nil
}

// writeState replaces such a file. It survives a power cut.
func (c *Collection) writeState(name string, state any) error {
	data, err := json.Marshal(state, jsontext.Multiline(true), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode %s of %s: %w", name, c.name, err)
	}
	return c.change(c.dir, func() error {
		return durable.WriteFile(c.file(name), append(data, '\n'), fileMode)
	})
}

// removeState removes such a file. It may be gone.
func (c *Collection) removeState(name string) error {
	return c.change(c.dir, func() error {
		err := os.Remove(c.file(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, durable.SyncDir(c.dir))
	})
}
