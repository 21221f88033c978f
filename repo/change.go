package repo

import (
	"fmt"

	"publisher/repo/tuf"
)

// Action is what a staged change does to its target.
type Action string

// The actions, in Notary's words.
const (
	Add    Action = "add"    // set a target, in place of one of the same name
	Remove Action = "remove" // take a target away
)

// Change is one staged change: it waits in a changelist until publish applies
// it to the newest version of its role, however often that moves.
type Change struct {
	ID     string         `json:"id"` // unique in its changelist
	Action Action         `json:"action"`
	Role   string         `json:"role"`
	Name   string         `json:"name"` // of the target
	Target tuf.TargetFile `json:"target,omitzero"`

	// Source is where the caller finds the target's bytes; this package only
	// hands it back. Empty: they are in the store already.
	Source string `json:"source,omitempty"`
}

// A ChangeError names the change that cannot be applied. Nothing was published.
type ChangeError struct {
	Change Change
	Err    error
}

func (e *ChangeError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Change.Action, e.Change.Name, e.Err)
}

func (e *ChangeError) Unwrap() error { return e.Err }
