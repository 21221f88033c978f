package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo/tuf"
)

// A Draft is a submission whose signatures are still being collected.
type Draft struct {
	Collection string
	Files      map[string][]byte // by role: root, targets, delegations; with the signatures collected so far

	// Signatures lie beside the files, as they came; they may be anybody's.
	Signatures []Signature

	// Base is the published metadata that the draft was made from, by the last
	// element of its key, for those who cannot reach the store; nil for those who
	// can.
	Base map[string][]byte

	id string
}

// A Signature is one key's signature of one role of a draft.
type Signature struct {
	Role  string `json:"role"`
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"` // hex
}

// A DraftError reports a submission that is complete but for signatures of keys
// that are not at hand. Its targets are uploaded; nothing else was written.
type DraftError struct {
	Draft   *Draft
	Missing []*ThresholdError // one for each role, and each set of keys, that lacks some
}

func (e *DraftError) Error() string {
	parts := make([]string, len(e.Missing))
	for i, m := range e.Missing {
		parts[i] = fmt.Sprintf("%s has %d of %d", RoleToNotary(m.Role), m.Have, m.Need)
	}
	return "signatures are missing: " + strings.Join(parts, "; ")
}

// Unwrap lets callers that know no drafts find the *ThresholdError in it.
func (e *DraftError) Unwrap() []error {
	all := make([]error, len(e.Missing))
	for i, m := range e.Missing {
		all[i] = m
	}
	return all
}

// A HalfError reports a draft of which an interrupted run has published a part:
// all but the root, which comes last, or the root alone where that came first.
// To commit Rest completes it.
type HalfError struct{ Rest *Submission }

func (e *HalfError) Error() string { return "an interrupted run has published a part of it" }

// newDraft makes a draft of a submission. It fails for files that do not parse.
func newDraft(sub *Submission) (*Draft, error) {
	d := &Draft{Collection: sub.Collection, Files: maps.Clone(sub.Files)}
	var err error
	d.id, err = d.hash()
	return d, err
}

// ID names what is to be signed, whoever has signed it so far: it is the SHA-256
// (hex) of the collection's name and of what each role says.
func (d *Draft) ID() string { return d.id }

// Bare is the draft without the published version that it carries.
func (d *Draft) Bare() *Draft {
	c := d.copy()
	c.Base = nil
	return c
}

func (d *Draft) copy() *Draft {
	c := *d
	c.Files, c.Signatures = maps.Clone(d.Files), slices.Clone(d.Signatures)
	return &c
}

// Submission is the draft as it can be committed when nothing is missing.
func (d *Draft) Submission() *Submission {
	return &Submission{Collection: d.Collection, Files: maps.Clone(d.Files)}
}

// Roles is the roles that the draft has files of, root and targets first.
func (d *Draft) Roles() []string {
	return slices.SortedFunc(maps.Keys(d.Files), func(a, b string) int {
		if x, y := slices.Index(tuf.TopLevel, a), slices.Index(tuf.TopLevel, b); x != y && (x >= 0 || y >= 0) {
			return rank(x) - rank(y)
		}
		return strings.Compare(a, b)
	})
}

// rank puts delegations, which are not top-level roles, last.
func rank(i int) int {
	if i < 0 {
		return len(tuf.TopLevel)
	}
	return i
}

// says returns the draft's files if they are those that are to be signed now, but
// for a version and an expiry that are as good: else nil. First is the first
// root, nil if there is one already.
func (d *Draft) says(first []byte, files map[string]*tuf.File[tuf.Targets], now time.Time) map[string]*tuf.File[tuf.Targets] {
	if !bytes.Equal(d.Files[tuf.RoleRoot], first) {
		return nil // a rotation, or the start of another collection
	}
	drafted := map[string]*tuf.File[tuf.Targets]{}
	for role, want := range files {
		f, err := tuf.Parse[tuf.Targets](d.Files[role], maxMetadata)
		if err != nil || !asGood(f.Head(), want.Head(), now) {
			return nil
		}
		if sameBut(want, f, func(want, got *tuf.Targets) { want.Version = got.Version }) != nil {
			return nil
		}
		drafted[role] = f
	}
	others := len(d.Files) - len(drafted)
	if first != nil {
		others--
	}
	if others > 0 {
		return nil
	}
	return drafted
}

// asGood reports whether what was drafted earlier can be published in place of
// what would be made now.
func asGood(drafted, want *tuf.Common, now time.Time) bool {
	return drafted.Version >= want.Version && now.Before(drafted.Expires) && !drafted.Expires.After(want.Expires)
}

// hash is the draft's ID.
func (d *Draft) hash() (string, error) {
	m := manifest{d.Collection, map[string]string{}}
	for role, data := range d.Files {
		payload, err := payloadOf(role, data)
		if err != nil {
			return "", fmt.Errorf("%s: %w", RoleToNotary(role), err)
		}
		m.Parts[role] = hexSum(payload)
	}
	text, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("encode draft: %w", err)
	}
	return hexSum(text), nil
}

// payloadOf is the bytes that the signatures of a role's file are over.
func payloadOf(role string, data []byte) ([]byte, error) {
	if role == tuf.RoleRoot {
		f, err := tuf.Parse[tuf.Root](data, MaxRoot)
		if err != nil {
			return nil, err
		}
		return f.Payload(), nil
	}
	f, err := tuf.Parse[tuf.Targets](data, maxMetadata)
	if err != nil {
		return nil, err
	}
	return f.Payload(), nil
}

// signing collects the signatures of one submission, as far as a keyring goes.
type signing struct {
	ring    Keyring
	missing []*ThresholdError // what the keyring could not do
	signed  bool              // it could do something
}

// signInto is sign for one file of a submission: too few keys are noted.
func signInto[T tuf.Content](ctx context.Context, s *signing, name string, role tuf.Role, keys map[string]tuf.Key, f *tuf.File[T]) error {
	err := sign(ctx, s.ring, name, role, keys, f)
	var few *ThresholdError
	if !errors.As(err, &few) {
		return err
	}
	if !slices.ContainsFunc(s.missing, few.same) {
		s.missing = append(s.missing, few)
	}
	return nil
}

// same reports whether two say the same: the old and the new root may ask the
// same of the same keys.
func (e *ThresholdError) same(other *ThresholdError) bool {
	return e.Role == other.Role && e.Have == other.Have && e.Need == other.Need && slices.Equal(e.Missing, other.Missing)
}

// result is nil for a submission that lacks nothing, else a *DraftError.
func (s *signing) result(sub *Submission) error {
	if len(s.missing) == 0 {
		return nil
	}
	d, err := newDraft(sub)
	if err != nil {
		return err
	}
	return &DraftError{Draft: d, Missing: s.missing}
}
