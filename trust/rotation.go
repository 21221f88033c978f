package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/internal/durable"
	"publisher/repo/tuf"
)

const rotationFile = "rotation.json"

// A Rotation is one that was begun: it may be published or not. There is at most
// one.
type Rotation struct {
	Role   string              `json:"role"`             // that was asked for
	Online string              `json:"online,omitempty"` // who is to hold the keys of snapshot and timestamp; empty for the trust directory
	After  int64               `json:"after"`            // the version of the root that it was decided on
	Roles  map[string]NewTrust `json:"roles"`            // those that it changes
	Made   []string            `json:"made,omitempty"`   // IDs of keys whose private halves are made for it, and stored after this is
}

// NewTrust is who is to sign for a role.
type NewTrust struct {
	Keys      []tuf.Key `json:"keys"`
	Threshold int64     `json:"threshold"`
}

// Rotation reads the rotation that was begun. The error wraps fs.ErrNotExist if
// none was.
func (c *Collection) Rotation() (Rotation, error) {
	if err := c.check(); err != nil {
		return Rotation{}, err
	}
	data, err := os.ReadFile(c.file(rotationFile))
	if err != nil {
		return Rotation{}, err
	}
	var r Rotation
	if err = json.Unmarshal(data, &r, json.RejectUnknownMembers(true)); err == nil && (r.Role == "" || len(r.Roles) == 0) {
		err = errors.New("it names no role")
	}
	if err != nil {
		return Rotation{}, fmt.Errorf("read %s: %w", c.file(rotationFile), err)
	}
	return r, nil
}

// SetRotation remembers a rotation, in place of the one before, so that it
// outlasts a power cut.
func (c *Collection) SetRotation(r Rotation) error {
	data, err := json.Marshal(r, jsontext.Multiline(true), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode the rotation of %s: %w", c.name, err)
	}
	return c.change(c.dir, func() error {
		return durable.WriteFile(c.file(rotationFile), append(data, '\n'), fileMode)
	})
}

// ClearRotation forgets the rotation that was begun. There may be none.
func (c *Collection) ClearRotation() error {
	return c.change(c.dir, func() error {
		err := os.Remove(c.file(rotationFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, durable.SyncDir(c.dir))
	})
}
