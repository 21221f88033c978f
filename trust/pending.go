package trust

import "errors"

const pendingFile = "pending.json"

// A Pending is a submission that was left in an inbox, or was about to be, and
// whose receipt has not been dealt with. There is at most one.
type Pending struct {
	Name       string   `json:"name"`              // in the inbox, a ULID
	Submission string   `json:"submission"`        // its ID, by which the receipt is named
	Inbox      string   `json:"inbox"`             // the store that it was left in
	Changes    []string `json:"changes,omitempty"` // IDs of the staged changes that it publishes
}

func (p Pending) complete() error {
	if p.Name == "" || p.Submission == "" || p.Inbox == "" {
		return errors.New("it names no submission")
	}
	return nil
}

// Pending reads what is pending. The error wraps fs.ErrNotExist if nothing is.
func (c *Collection) Pending() (Pending, error) { return readState[Pending](c, pendingFile) }

// SetPending remembers a submission, in place of the one before. What is
// remembered survives a power cut, as the submission in the inbox does.
func (c *Collection) SetPending(p Pending) error { return c.writeState(pendingFile, p) }

// ClearPending forgets what is pending. Nothing may be.
func (c *Collection) ClearPending() error { return c.removeState(pendingFile) }
