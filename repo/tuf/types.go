// Package tuf is the file format of TUF metadata: the roles' contents as plain
// structs that keep every field they do not know, their canonical encoding, and
// signatures over it.
//
// It exists beside go-tuf for two reasons: go-tuf needs six to eight times the
// time and memory for a role with many targets, and what commit writes is
// judged by go-tuf as a second reader, which only means something if the first
// one is another.
package tuf

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// SpecVersion is the version of the TUF specification that files claim.
const SpecVersion = "1.0.31"

// The names of the top-level roles; TUF specification, section 2.1.
const (
	RoleRoot      = "root"
	RoleTargets   = "targets"
	RoleSnapshot  = "snapshot"
	RoleTimestamp = "timestamp"
)

// TopLevel is the top-level roles in the order in which people name them.
var TopLevel = []string{RoleRoot, RoleTargets, RoleSnapshot, RoleTimestamp}

// Common is what the signed part of every role has; section 4.3.
type Common struct {
	Type        string         `json:"_type"`
	SpecVersion string         `json:"spec_version"`
	Version     int64          `json:"version"`
	Expires     time.Time      `json:"expires"` // UTC, whole seconds
	Publisher   Publisher      `json:"x-publisher,omitzero"`
	Unknown     jsontext.Value `json:",embed"`
}

// Head returns the common part.
func (c *Common) Head() *Common { return c }

// Publisher is the x-publisher field: what TUF leaves out and a shared store
// needs. Other clients ignore it.
type Publisher struct {
	// Collection binds the file to its collection; without it one collection's
	// files can be replayed into another's.
	Collection string `json:"collection,omitempty"`
	// Parent is the SHA-256 (hex) of the version that this one was made from,
	// empty in a first version.
	Parent string `json:"parent,omitempty"`
	// Lifetimes, in a root, is how long each role's signatures last, in seconds.
	Lifetimes map[string]int64 `json:"lifetimes,omitempty"`
	// Certs, in a root, is certificates in PEM form by the ID of the root key
	// that they are for.
	Certs map[string]string `json:"certs,omitempty"`
	// RefreshAfter, in a timestamp, is when snapshot or timestamp is due to be
	// signed again: whoever refreshes needs no other file to know.
	RefreshAfter time.Time `json:"refresh_after,omitzero"`
	// GraceUntil, in a root, is until when the previous root's keys sign too, if
	// it is published at once. In snapshot and timestamp that is certain.
	GraceUntil time.Time `json:"grace_until,omitzero"`
	// RootFirst, in a root, says that keys of the one before it are lost: it is
	// published before what its own keys sign.
	RootFirst bool `json:"root_first,omitzero"`
	// Restart, in a root, is the versions from which snapshot and timestamp go on
	// after one of their keys was abused, though higher ones were published.
	Restart map[string]int64 `json:"restart,omitempty"`
	// Initial, in a targets role, is the IDs of keys by delegated role that
	// signed the role's initial, empty version and were thrown away.
	Initial map[string][]string `json:"initial,omitempty"`

	Unknown jsontext.Value `json:",embed"`
}

// IsZero reports whether nothing is set.
func (p Publisher) IsZero() bool {
	return p.Collection == "" && p.Parent == "" && len(p.Lifetimes) == 0 && len(p.Certs) == 0 &&
		p.RefreshAfter.IsZero() && p.GraceUntil.IsZero() && !p.RootFirst && len(p.Restart) == 0 && len(p.Initial) == 0 && len(p.Unknown) == 0
}

// Root is the content of a root file; section 4.3.
type Root struct {
	Common
	ConsistentSnapshot bool            `json:"consistent_snapshot"`
	Keys               map[string]Key  `json:"keys"`
	Roles              map[string]Role `json:"roles"`
}

// Role names the keys that may sign, and how many of them must.
type Role struct {
	KeyIDs    []string       `json:"keyids"`
	Threshold int64          `json:"threshold"`
	Unknown   jsontext.Value `json:",embed"`
}

// Snapshot is the content of a snapshot file; section 4.4.
type Snapshot struct {
	Common
	Meta map[string]MetaFile `json:"meta"`
}

// Timestamp is the content of a timestamp file; section 4.6.
type Timestamp struct {
	Common
	Meta map[string]MetaFile `json:"meta"`
}

// MetaFile describes a metadata file to those who are about to fetch it. The
// fields stand in canonical order: nothing is left to sort.
type MetaFile struct {
	Hashes  map[string]string `json:"hashes,omitempty"` // hex by algorithm
	Length  int64             `json:"length,omitzero"`  // in bytes, 0 if not told
	Version int64             `json:"version"`
	Unknown jsontext.Value    `json:",embed"`
}

// Targets is the content of a targets file, of the top-level role or of a
// delegation; section 4.5.
type Targets struct {
	Common
	Targets     map[string]TargetFile `json:"targets"`
	Delegations *Delegations          `json:"delegations,omitempty"`
}

// CustomDepth is how many objects a target's custom data lies in, in its file.
const CustomDepth = 4

// TargetFile describes a target. The fields stand in canonical order: nothing
// is left to sort, of ten thousand targets.
type TargetFile struct {
	Custom  jsontext.Value    `json:"custom,omitzero"`
	Hashes  map[string]string `json:"hashes"` // hex by algorithm
	Length  int64             `json:"length"` // in bytes
	Unknown jsontext.Value    `json:",embed"`
}

// Delegations is a targets role's trust in others.
type Delegations struct {
	Keys          map[string]Key  `json:"keys"`
	Roles         []DelegatedRole `json:"roles,omitempty"`
	SuccinctRoles *SuccinctRoles  `json:"succinct_roles,omitempty"`
	Unknown       jsontext.Value  `json:",embed"`
}

// DelegatedRole is a role trusted with the targets that its paths match.
type DelegatedRole struct {
	Name             string         `json:"name"`
	KeyIDs           []string       `json:"keyids"`
	Threshold        int64          `json:"threshold"`
	Paths            []string       `json:"paths,omitempty"`
	PathHashPrefixes []string       `json:"path_hash_prefixes,omitempty"`
	Terminating      bool           `json:"terminating"`
	Unknown          jsontext.Value `json:",embed"`
}

// SuccinctRoles is 2^BitLength roles that share the targets by hash of the
// name; TAP 15.
type SuccinctRoles struct {
	KeyIDs     []string       `json:"keyids"`
	Threshold  int64          `json:"threshold"`
	BitLength  int64          `json:"bit_length"`
	NamePrefix string         `json:"name_prefix"`
	Unknown    jsontext.Value `json:",embed"`
}

// Signature is one key's signature over the canonical form of the signed part.
type Signature struct {
	KeyID   string         `json:"keyid"`
	Sig     string         `json:"sig"` // hex
	Unknown jsontext.Value `json:",embed"`
}
