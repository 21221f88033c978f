package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo/tuf"
)

// A Submission is signed role files offered for publication, all or none of
// them. An empty one asks for fresh signatures on snapshot and timestamp.
type Submission struct {
	Collection string
	Files      map[string][]byte // by role: root, targets, delegations

	renew bool   // make a new snapshot also where none is due
	id    string // of the manifest that was read, whatever it held
}

// manifest is the form of a submission's manifest.
type manifest struct {
	Collection string            `json:"collection"`
	Parts      map[string]string `json:"parts"` // SHA-256 by role
}

// Manifest names the files by their hashes: the one object by which a
// submission is handed to somebody else.
func (s *Submission) Manifest() []byte {
	m := manifest{s.Collection, map[string]string{}}
	for role, data := range s.Files {
		m.Parts[role] = hexSum(data)
	}
	text, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		panic("repo: encode manifest: " + err.Error()) // strings only: cannot fail
	}
	return text
}

// ID is the SHA-256 of the manifest, in hex.
func (s *Submission) ID() string {
	if s.id != "" {
		return s.id
	}
	return hexSum(s.Manifest())
}

// A Receipt says what became of a submission.
type Receipt struct {
	Collection string           `json:"collection"`
	Submission string           `json:"submission"`         // its ID
	Versions   map[string]int64 `json:"versions,omitempty"` // of the roles now published, as far as this commit wrote them
	Committed  time.Time        `json:"committed,omitzero"`
	Refused    *Refusal         `json:"refused,omitempty"` // nil if it was committed
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// The most bytes of a role's file in a submission.
func maxFile(role string) int64 {
	if role == tuf.RoleRoot {
		return MaxRoot
	}
	return maxMetadata
}
