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

const pendingFile = "pending.json"

// A Pending is a submission that was left in an inbox, or was about to be, and
// whose receipt has not been dealt with. There is at most one.
type Pending struct {
	Name       string   `json:"name"`              // in the inbox, a ULID
	Submission string   `json:"submission"`        // its ID, by which the receipt is named
	Inbox      string   `json:"inbox"`             // the store that it was left in
	Changes    []string `json:"changes,omitempty"` // IDs of the staged changes that it publishes
}

// Pending reads what is pending. The error wraps fs.ErrNotExist if nothing is.
func (c *Collection) Pending() (Pending, error) {
	if err := c.check(); err != nil {
		return Pending{}, err
	}
	data, err := os.ReadFile(c.file(pendingFile))
	if err != nil {
		return Pending{}, err
	}
	var p Pending
	if err = json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err == nil && (p.Name == "" || p.Submission == "" || p.Inbox == "") {
		err = errors.New("it names no submission")
	}
	if err != nil {
		return Pending{}, fmt.Errorf("read %s: %w", c.file(pendingFile), err)
	}
	return p, nil
}

// SetPending remembers a submission, in place of the one before. What is
// remembered survives a power cut, as the submission in the inbox does.
func (c *Collection) SetPending(p Pending) error {
	data, err := json.Marshal(p, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("encode what is pending for %s: %w", c.name, err)
	}
	return c.change(c.dir, func() error {
		return durable.WriteFile(c.file(pendingFile), append(data, '\n'), fileMode)
	})
}

// ClearPending forgets what is pending. Nothing may be.
func (c *Collection) ClearPending() error {
	return c.change(c.dir, func() error {
		err := os.Remove(c.file(pendingFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, durable.SyncDir(c.dir))
	})
}
