package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"publisher/repo/strict"
	"publisher/storage"
)

// An Inbox is a collection's part of the private store: submissions wait in it
// for whoever holds the online keys, and find their receipts.
type Inbox struct {
	Store      storage.Store
	Collection string
}

const (
	maxManifest = 64 << 10 // bytes
	maxReceipt  = 64 << 10 // bytes
	maxParts    = 256
	maxRoleName = 128     // bytes
	maxText     = 4 << 10 // of a refusal, in bytes: a receipt must be readable
)

// Leave puts a submission into the inbox: its parts first, then the manifest,
// which makes them a submission. Name is a fresh ULID. To leave the same
// submission under the same name again does no harm.
func (b Inbox) Leave(ctx context.Context, name string, sub *Submission) error {
	old, err := b.leaveParts(ctx, sub.Files)
	if err != nil {
		return err
	}
	if err := b.write(ctx, SubmissionKey(b.Collection, name), sub.Manifest()); err != nil {
		return fmt.Errorf("leave submission: %w", err)
	}
	// What was there before nobody wanted, up to now: it may have been removed as
	// garbage meanwhile.
	_, err = b.leaveParts(ctx, old)
	return err
}

// leaveParts writes the parts of a submission, by role, and returns those that
// were there already.
func (b Inbox) leaveParts(ctx context.Context, files map[string][]byte) (old map[string][]byte, err error) {
	old = map[string][]byte{}
	for role, data := range files {
		there, err := b.place(ctx, PartKey(b.Collection, hexSum(data)), data)
		if err != nil {
			return nil, fmt.Errorf("leave %s: %w", RoleToNotary(role), err)
		}
		if there {
			old[role] = data
		}
	}
	return old, nil
}

// write writes an object once. The same bytes, there already, are success.
func (b Inbox) write(ctx context.Context, key string, data []byte) error {
	_, err := b.place(ctx, key, data)
	return err
}

// place is write, and reports whether the bytes were there already.
func (b Inbox) place(ctx context.Context, key string, data []byte) (there bool, err error) {
	_, err = b.Store.Put(ctx, key, bytes.NewReader(data), storage.Absent)
	if err == nil {
		return false, nil
	}
	old, _, readErr := storage.Read(ctx, b.Store, key, int64(len(data)))
	if readErr == nil && bytes.Equal(old, data) {
		return true, nil
	}
	return false, err
}

var manifestShape = strict.Object(strict.Fields{
	"collection": strict.String, "parts": strict.Map(strict.String),
}, "collection", "parts")

// Submission reads a submission by its name. What is wrong with it is a
// *Rejection; a submission that is not there wraps fs.ErrNotExist.
func (b Inbox) Submission(ctx context.Context, name string) (*Submission, error) {
	data, _, err := storage.Read(ctx, b.Store, SubmissionKey(b.Collection, name), maxManifest)
	switch {
	case errors.Is(err, storage.ErrTooLarge):
		return nil, reject("", "its manifest has more than %d bytes", maxManifest)
	case errors.Is(err, storage.ErrDamaged):
		return nil, reject("", "its manifest: %w", err)
	case err != nil:
		return nil, err
	}
	return b.parse(ctx, data)
}

func (b Inbox) parse(ctx context.Context, data []byte) (*Submission, error) {
	sub := &Submission{Collection: b.Collection, Files: map[string][]byte{}, id: hexSum(data)}
	m, err := b.manifest(data)
	if err != nil {
		return sub, err
	}
	for role, sum := range m.Parts {
		if len(role) > maxRoleName {
			return sub, reject("", "it names a role of %d characters", len(role))
		}
		part, err := b.part(ctx, role, sum)
		if err != nil {
			return sub, err
		}
		sub.Files[role] = part
	}
	return sub, nil
}

// manifest reads a manifest. What is wrong with it is a *Rejection.
func (b Inbox) manifest(data []byte) (m manifest, err error) {
	if err := strict.Check(data, maxManifest, manifestShape); err != nil {
		return m, reject("", "its manifest: %w", err)
	}
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return m, reject("", "its manifest: %w", err)
	}
	switch {
	case m.Collection != b.Collection:
		return m, reject("", "it is for the collection %.255q", m.Collection)
	case len(m.Parts) == 0:
		return m, reject("", "it has no parts")
	case len(m.Parts) > maxParts:
		return m, reject("", "it has %d parts, at most %d", len(m.Parts), maxParts)
	}
	return m, nil
}

func (b Inbox) part(ctx context.Context, role, sum string) ([]byte, error) {
	if !isSHA256(sum) {
		return nil, reject(role, "its part has the name %.80q, which is not a hash", sum)
	}
	data, _, err := storage.Read(ctx, b.Store, PartKey(b.Collection, sum), maxFile(role))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, reject(role, "its part is not in the inbox")
	case errors.Is(err, storage.ErrTooLarge):
		return nil, reject(role, "its part is too large")
	case errors.Is(err, storage.ErrDamaged):
		return nil, reject(role, "its part: %w", err)
	case err != nil:
		return nil, err
	case hexSum(data) != sum:
		return nil, reject(role, "its part does not have the hash that is its name")
	}
	return data, nil
}

// ErrReceipt reports an object that is no receipt, where one is to be: whoever
// may write the inbox has left it there, or it is damaged.
var ErrReceipt = errors.New("the receipt cannot be read")

// Receipt returns the answer to a submission, by the submission's ID. It wraps
// fs.ErrNotExist as long as there is none, and ErrReceipt if it is none.
func (b Inbox) Receipt(ctx context.Context, id string) (*Receipt, error) {
	data, _, err := storage.Read(ctx, b.Store, ReceiptKey(b.Collection, id), maxReceipt)
	if isWrecked(err) {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if err != nil {
		return nil, err
	}
	r := &Receipt{}
	if err = strict.Check(data, maxReceipt, strict.Any); err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return r, nil
}

// Answer writes the receipt of a submission, once: if there is one already,
// that one is returned and stands.
func (b Inbox) Answer(ctx context.Context, r *Receipt) (*Receipt, error) {
	data, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	_, err = b.Store.Put(ctx, ReceiptKey(b.Collection, r.Submission), bytes.NewReader(data), storage.Absent)
	if err == nil {
		return r, nil
	}
	if there, readErr := b.Receipt(ctx, r.Submission); readErr == nil {
		return there, nil
	}
	return nil, fmt.Errorf("write receipt: %w", err)
}

// Clear takes an answered submission out of the inbox. Where it may not, the
// receipt says that it is answered.
func (b Inbox) Clear(ctx context.Context, name string) error {
	key := SubmissionKey(b.Collection, name)
	d, ok := b.Store.(storage.Deleter)
	if !ok {
		return nil
	}
	err := b.drop(ctx, d, key)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// Quarantine moves the manifest of a submission out of the way of sweeps, for
// people to look at. One that is too large to be read leaves its name alone.
func (b Inbox) Quarantine(ctx context.Context, name string) error {
	data, _, err := storage.Read(ctx, b.Store, SubmissionKey(b.Collection, name), maxManifest)
	if errors.Is(err, storage.ErrTooLarge) {
		data, err = fmt.Appendf(nil, "it had more than %d bytes\n", maxManifest), nil
	}
	if err == nil || errors.Is(err, storage.ErrDamaged) {
		err = b.write(ctx, QuarantineKey(b.Collection, name), data)
	}
	if err != nil {
		return fmt.Errorf("quarantine %s: %w", name, err)
	}
	return b.Clear(ctx, name)
}

// Waiting yields the names of the submissions in the inbox, oldest first.
// Answered ones are among them where nobody may delete.
func (b Inbox) Waiting(ctx context.Context) iter.Seq2[string, error] {
	return b.names(ctx, SubmissionsDir(b.Collection))
}

// Quarantined yields the names of the submissions that were put aside, oldest
// first.
func (b Inbox) Quarantined(ctx context.Context) iter.Seq2[string, error] {
	return b.names(ctx, QuarantineDir(b.Collection))
}

// names yields the names of the manifests that lie in a directory.
func (b Inbox) names(ctx context.Context, dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range b.Store.List(ctx, dir) {
			name, ok := strings.CutSuffix(strings.TrimPrefix(e.Key, dir), ".json")
			if err == nil && (!ok || !isULID(name)) {
				continue
			}
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

// isULID reports whether s is a ULID, as names of submissions are.
func isULID(s string) bool {
	_, err := ulid.ParseStrict(s)
	return err == nil
}

func isSHA256(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s
}

// Answered turns what Commit returned into the receipt of a submission. Other
// errors than a final judgement on the submission are returned: it can be tried
// again.
func Answered(sub *Submission, receipt *Receipt, err error) (*Receipt, error) {
	if err == nil {
		return receipt, nil
	}
	refusal := refusalOf(err)
	if refusal == nil {
		return nil, err
	}
	refusal.Error = cut(refusal.Error)
	return &Receipt{Collection: sub.Collection, Submission: sub.ID(), Refused: refusal}, nil
}

// cut shortens what a hostile submission may have put into a message.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// Refusal is why a submission was not committed, and never will be.
type Refusal struct {
	Kind    string `json:"kind"`           // rejected, stale, burned or published
	Role    string `json:"role,omitempty"` // that it is about
	Version int64  `json:"version,omitzero"`
	Error   string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Missing string `json:"missing,omitempty"` // a target that the store did not have
}

// The kinds of refusals.
const (
	refusedRejected  = "rejected"
	refusedStale     = "stale"
	refusedBurned    = "burned"
	refusedPublished = "published"
)

func refusalOf(err error) *Refusal {
	var rejection *Rejection
	var stale *StaleError
	var burned *BurnedError
	switch {
	case errors.As(err, &stale):
		return &Refusal{Kind: refusedStale, Role: stale.Role, Error: err.Error()}
	case errors.As(err, &burned):
		return &Refusal{Kind: refusedBurned, Role: burned.Role, Version: burned.Version, Error: err.Error()}
	case errors.Is(err, ErrPublished):
		return &Refusal{Kind: refusedPublished, Error: err.Error()}
	case errors.As(err, &rejection):
		r := &Refusal{Kind: refusedRejected, Role: rejection.Role, Error: rejection.Reason.Error()}
		var missing *MissingError
		if errors.As(err, &missing) && len(missing.Name) <= maxText {
			r.Missing = missing.Name
		}
		return r
	}
	return nil
}

// Err is the error that the committer had, nil for a submission that was
// committed.
func (r *Receipt) Err() error {
	if r.Refused == nil {
		return nil
	}
	switch r.Refused.Kind {
	case refusedStale:
		return &StaleError{Role: r.Refused.Role}
	case refusedBurned:
		return &BurnedError{Role: r.Refused.Role, Version: r.Refused.Version}
	case refusedPublished:
		return ErrPublished
	}
	if r.Refused.Missing != "" {
		return &Rejection{Role: r.Refused.Role, Reason: &MissingError{Name: r.Refused.Missing}}
	}
	return &Rejection{Role: r.Refused.Role, Reason: errors.New(r.Refused.Error)}
}
