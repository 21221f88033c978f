package trust

import (
	"errors"

	"publisher/repo/tuf"
)

const rotationFile = "rotation.json"

// A Rotation is one that was begun: it may be published or not. There is at most
// one.
type Rotation struct {
	Role   string              `json:"role"`             // that was asked for
	Online string              `json:"online,omitempty"` // who is to hold the keys of snapshot and timestamp; empty for the trust directory
	Inbox  string              `json:"inbox,omitempty"`  // where drafts and submissions wait for them
	After  int64               `json:"after"`            // the version of the root that it was decided on
	Roles  map[string]NewTrust `json:"roles"`            // those that it changes
	Made   []string            `json:"made,omitempty"`   // IDs of keys whose private halves are made for it, and stored after this is

	// What else it was told: see repo.Rotation.
	OldKeyLost bool       `json:"old_key_lost,omitempty"`
	Recover    bool       `json:"recover,omitempty"`
	Certs      [][][]byte `json:"certs,omitempty"` // chains, in DER
}

// NewTrust is who is to sign for a role.
type NewTrust struct {
	Keys      []tuf.Key `json:"keys"`
	Threshold int64     `json:"threshold"`
}

func (r Rotation) complete() error {
	if r.Role == "" || len(r.Roles) == 0 {
		return errors.New("it names no role")
	}
	return nil
}

// Rotation reads the rotation that was begun. The error wraps fs.ErrNotExist if
// none was.
func (c *Collection) Rotation() (Rotation, error) { return readState[Rotation](c, rotationFile) }

// SetRotation remembers a rotation, in place of the one before, so that it
// outlasts a power cut.
func (c *Collection) SetRotation(r Rotation) error { return c.writeState(rotationFile, r) }

// ClearRotation forgets the rotation that was begun. There may be none.
func (c *Collection) ClearRotation() error { return c.removeState(rotationFile) }
