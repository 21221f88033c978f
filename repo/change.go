package repo

import (
	"fmt"

	"publisher/repo/tuf"
)

// Action is what a staged change does to its target, delegation or role.
type Action string

// The actions, in Notary's words.
const (
	Add    Action = "add"    // set a target, in place of one of the same name; make or extend a delegation
	Remove Action = "remove" // take a target or a delegation away
	Update Action = "update" // take keys or paths from a delegation; sign a role again
)

// ChangeType is what a staged change is about.
type ChangeType string

// The types of changes.
const (
	TypeTarget     ChangeType = ""           // a target of the role
	TypeDelegation ChangeType = "delegation" // the delegation to the role
	TypeWitness    ChangeType = "witness"    // the role's signatures alone
)

func (t ChangeType) String() string {
	if t == TypeTarget {
		return "target"
	}
	return string(t)
}

// Change is one staged change: it waits in a changelist until publish applies
// it to the newest version of its role, however often that moves.
type Change struct {
	ID     string         `json:"id"` // unique in its changelist
	Action Action         `json:"action"`
	Type   ChangeType     `json:"type,omitempty"`
	Role   string         `json:"role"`
	Name   string         `json:"name,omitempty"` // of the target
	Target tuf.TargetFile `json:"target,omitzero"`

	// Delegation is what changes in the delegation to Role. A removal of the
	// whole delegation has none.
	Delegation *DelegationChange `json:"delegation,omitempty"`

	// Source is where the caller finds the target's bytes; this package only
	// hands it back. Empty: they are in the store already.
	Source string `json:"source,omitempty"`
}

// A DelegationChange is what is to change in a delegation. What is not told
// stays as it is; a new delegation has a threshold of 1 and is not terminating.
type DelegationChange struct {
	Keys        []tuf.Key `json:"keys,omitempty"`  // to add
	Paths       []string  `json:"paths,omitempty"` // patterns to add
	RemoveKeys  []string  `json:"remove_keys,omitempty"`
	RemovePaths []string  `json:"remove_paths,omitempty"`
	AllPaths    bool      `json:"all_paths,omitzero"` // in place of its paths; with Update, take all of them away
	Threshold   int64     `json:"threshold,omitzero"`
	Terminating *bool     `json:"terminating,omitempty"`
}

// String is the change as an error names it.
func (c Change) String() string {
	switch c.Type {
	case TypeTarget:
		return fmt.Sprintf("%s %s", c.Action, c.Name)
	case TypeWitness:
		return "witness " + RoleToNotary(c.Role)
	}
	return fmt.Sprintf("%s %s %s", c.Action, c.Type, RoleToNotary(c.Role))
}

// A ChangeError names the change that cannot be applied. Nothing was published.
type ChangeError struct {
	Change Change
	Err    error
}

func (e *ChangeError) Error() string { return fmt.Sprintf("%s: %v", e.Change, e.Err) }

func (e *ChangeError) Unwrap() error { return e.Err }
