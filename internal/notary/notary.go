// Package notary reads collections that were made with Notary v1 (0.x), which is
// TUF in a format of its own: keys may be x509 certificates and have other IDs,
// signatures have methods, hashes are base64, paths are prefixes. It verifies
// what it reads as Notary's client does, and writes nothing.
//
// The one difference is on purpose: what has expired is read all the same, and
// reported. Whoever moves away from Notary often does so because its server is
// gone, and nobody can sign a new timestamp.
package notary

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A Source is the files of one collection. The name of a file is that of its
// role, "root" or "targets/releases", or, of older roots, "1.root".
type Source interface {
	// Read returns a whole file of at most max bytes. Its error wraps
	// fs.ErrNotExist for one that is not there.
	Read(ctx context.Context, name string, max int64) ([]byte, error)
}

// A Collection is what was read and verified of one.
type Collection struct {
	GUN     string
	Roots   []Root          // as far back as the source has them, without a gap; the last is the newest
	Roles   map[string]Role // who may sign root, targets, snapshot and timestamp
	Targets *Targets
	Expired []Expired
}

// A Root is one version of root.
type Root struct {
	Version int64
	Expires time.Time
	KeyIDs  []string // of the root role
}

// A Role is who may sign, and how many of them must.
type Role struct {
	Keys      []Key
	Threshold int64
}

// Targets is the content of the role targets, or of a delegation.
type Targets struct {
	Name        string // in Notary's form: targets, targets/releases
	Version     int64
	Expires     time.Time
	Files       map[string]File
	Delegations []Delegation // in order of priority
}

// A Delegation is a role that others sign.
type Delegation struct {
	Role
	Name  string
	Paths []string // prefixes of the names that it may have, as far as its parent's allow

	// Content is nil for a role that was never published, or that Notary's
	// clients pass over because its keys have not signed it; Reason tells which.
	Content *Targets
	Reason  error
}

// A File is one target.
type File struct {
	Length int64
	Hashes map[string]string // hex by algorithm; sha256 or sha512 is among them
	Custom jsontext.Value    // nil if there is none
}

// Expired is metadata, or a certificate in it, past its time.
type Expired struct {
	What string    `json:"what"` // the role, or the certificate
	At   time.Time `json:"at"`
}

// An Error reports a file that is not what Notary's client would believe.
type Error struct {
	File string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("verify Notary's %s.json: %v", e.File, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

func wrong(file, format string, args ...any) error {
	return &Error{File: file, Err: fmt.Errorf(format, args...)}
}

// What a collection may cost those who read it. Notary itself knows one bound,
// 100 MiB a file.
const (
	maxRoot      = 1 << 20
	maxTimestamp = 1 << 20
	maxSnapshot  = 16 << 20
	maxTargets   = 64 << 20
	maxAll       = 256 << 20 // together
	maxRoots     = 1000
	maxRoles     = 1000
	maxDepth     = 32
)

// Read reads and verifies the collection that Notary calls gun. The newest root
// is taken as it is: it must be signed by itself, and each older one that the
// source has must lead to the next; whom to trust is the caller's. The error is
// an *Error for content that does not verify, or else the source's.
func Read(ctx context.Context, from Source, gun string, now time.Time) (*Collection, error) {
	r := &reader{from: from, now: now, c: &Collection{GUN: gun}, left: maxAll}
	root, err := r.roots(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.check("root", root.data, snapshot.signed.Meta["root"]); err != nil {
		return nil, err
	}
	r.c.Targets, err = r.targets(ctx, r.c.Roles["targets"], snapshot.signed.Meta)
	if err != nil {
		return nil, err
	}
	return r.c, nil
}

// A reader is one Read.
type reader struct {
	from  Source
	now   time.Time
	c     *Collection
	left  int64 // bytes that may still be read
	roles int   // that were read
}

// read returns a file. Its size counts for that of all.
func (r *reader) read(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := r.from.Read(ctx, name, min(max, r.left))
	if err != nil {
		return nil, fmt.Errorf("read Notary's %s.json: %w", name, err)
	}
	r.left -= int64(len(data))
	return data, nil
}

// expiry notes what is past its time.
func (r *reader) expiry(what string, at time.Time) {
	if !r.now.Before(at) {
		r.c.Expired = append(r.c.Expired, Expired{what, at})
	}
}
