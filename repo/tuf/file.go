package tuf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/strict"
)

// Content is the signed part of one of the four kinds of files.
type Content interface {
	Root | Targets | Snapshot | Timestamp
}

// File is a metadata file: content, signatures, and the bytes they came from.
type File[T Content] struct {
	Signed     T
	Signatures []Signature

	bytes   []byte         // the file as it is stored
	text    jsontext.Value // Signed as it stands in bytes
	payload []byte         // the canonical form of Signed, which the signatures are over
	foreign bool           // see SortsOtherwise
	unknown jsontext.Value // what stands beside signed and signatures
}

type envelope struct {
	Signatures []Signature    `json:"signatures"`
	Signed     jsontext.Value `json:"signed,omitempty"`
	Unknown    jsontext.Value `json:",embed"`
}

// Parse reads a file of at most max bytes. It passes the strict gate first and
// fails if the file's _type is not that of T, its version is below 1, or one key
// ID has two signatures, of which readers may pick either; it does not verify
// signatures or look at expiry.
func Parse[T Content](data []byte, max int64) (*File[T], error) {
	var f File[T]
	role, shape := kind(&f.Signed)
	if err := strict.Check(data, max, shape); err != nil {
		return nil, err
	}
	var e envelope
	if err := json.Unmarshal(data, &e, checked); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(e.Signed, &f.Signed, checked); err != nil {
		return nil, err
	}
	head := Head(&f.Signed)
	if head.Type != role {
		return nil, fmt.Errorf("_type is %q, not %q", head.Type, role)
	}
	if head.Version < 1 {
		return nil, fmt.Errorf("version is %d", head.Version)
	}
	if id, ok := signedTwice(e.Signatures); ok {
		return nil, fmt.Errorf("two signatures of key %q", id)
	}
	c, err := canonicalize(e.Signed)
	if err != nil {
		return nil, err
	}
	f.Signatures, f.unknown = e.Signatures, e.Unknown
	f.bytes, f.text, f.payload, f.foreign = data, e.Signed, c.out, c.foreign
	return &f, nil
}

// signedTwice returns a key ID that occurs twice.
func signedTwice(signatures []Signature) (string, bool) {
	seen := make(map[string]bool, len(signatures))
	for _, s := range signatures {
		if seen[s.KeyID] {
			return s.KeyID, true
		}
		seen[s.KeyID] = true
	}
	return "", false
}

// New wraps content that nobody has signed yet. It sets _type and spec_version,
// and cuts expires to whole seconds UTC, which is all that every client reads.
func New[T Content](signed T) (*File[T], error) {
	f := &File[T]{Signed: signed}
	head := f.Head()
	head.Type, _ = kind(&f.Signed)
	head.SpecVersion = SpecVersion
	head.Expires = head.Expires.UTC().Truncate(time.Second)
	var err error
	if f.text, err = json.Marshal(&f.Signed, json.Deterministic(true)); err != nil {
		return nil, fmt.Errorf("encode %s: %w", head.Type, err)
	}
	c, err := canonicalize(f.text)
	if err != nil {
		return nil, err
	}
	f.payload, f.foreign = c.out, c.foreign
	return f, f.encode()
}

// Head returns the common part of content.
func Head[T Content](signed *T) *Common {
	return any(signed).(interface{ Head() *Common }).Head()
}

func kind[T Content](signed *T) (string, *strict.Shape) {
	switch any(signed).(type) {
	case *Root:
		return RoleRoot, strict.Root
	case *Snapshot:
		return RoleSnapshot, strict.Snapshot
	case *Timestamp:
		return RoleTimestamp, strict.Timestamp
	default:
		return RoleTargets, strict.Targets
	}
}

// SortsOtherwise reports whether clients in JavaScript put the names of some
// object into another order, and so cannot verify the signatures: they sort by
// UTF-16, where a character beyond U+FFFF comes before U+E000.
func (f *File[T]) SortsOtherwise() bool { return f.foreign }

// Payload is the bytes that signatures are over. It must not be changed.
func (f *File[T]) Payload() []byte { return f.payload }

// Bytes is the file as it is stored. It must not be changed.
func (f *File[T]) Bytes() []byte { return f.bytes }

// Head returns the common part of the content.
func (f *File[T]) Head() *Common { return Head(&f.Signed) }

// SHA256 is the hash of the file as it is stored, in hex.
func (f *File[T]) SHA256() string {
	sum := sha256.Sum256(f.bytes)
	return hex.EncodeToString(sum[:])
}

// Meta describes the file for the snapshot or timestamp that lists it. Length
// and hash are always told: they lift the default caps of clients, and stop
// tampered bytes before anything parses them.
func (f *File[T]) Meta() MetaFile {
	return MetaFile{
		Version: f.Head().Version,
		Length:  int64(len(f.bytes)),
		Hashes:  map[string]string{"sha256": f.SHA256()},
	}
}

// AddSignature sets the signature of one key, in place of an older one of the
// same key, and renews Bytes.
func (f *File[T]) AddSignature(keyID string, sig []byte) error {
	f.Signatures = slices.DeleteFunc(f.Signatures, func(s Signature) bool { return s.KeyID == keyID })
	f.Signatures = append(f.Signatures, Signature{KeyID: keyID, Sig: hex.EncodeToString(sig)})
	slices.SortFunc(f.Signatures, func(a, b Signature) int {
		return strings.Compare(a.KeyID, b.KeyID)
	})
	return f.encode()
}

// KeepSignatures removes the signatures of all other keys than these, renews
// Bytes, and returns the key IDs of what it removed.
func (f *File[T]) KeepSignatures(keyIDs []string) (removed []string, err error) {
	f.Signatures = slices.DeleteFunc(slices.Clone(f.Signatures), func(s Signature) bool {
		if slices.Contains(keyIDs, s.KeyID) {
			return false
		}
		removed = append(removed, s.KeyID)
		return true
	})
	if removed == nil {
		return nil, nil
	}
	return removed, f.encode()
}

// encode renews Bytes.
func (f *File[T]) encode() error {
	head, err := json.Marshal(envelope{Signatures: f.Signatures, Unknown: f.unknown})
	if err != nil {
		return fmt.Errorf("encode signatures: %w", err)
	}
	// The signed part, however large, has been encoded already.
	f.bytes = slices.Concat(head[:len(head)-1], []byte(`,"signed":`), f.text, []byte("}"))
	return nil
}

// ThresholdError reports that too few distinct keys of a role have signed.
type ThresholdError struct {
	Role string
	Have int
	Need int64
}

func (e *ThresholdError) Error() string {
	return fmt.Sprintf("%s: %d of %d required signatures", e.Role, e.Have, e.Need)
}

// Verify checks that enough distinct keys of role have signed the file; TUF
// specification, section 5.3.4. Signatures of other keys, and broken ones, do
// not count and do no harm. A key that occurs under two IDs counts once. The
// error is a *ThresholdError if the role is well-formed.
func (f *File[T]) Verify(name string, role Role, keys map[string]Key) error {
	signers, err := f.signers(role.KeyIDs, keys, false)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if role.Threshold < 1 {
		return fmt.Errorf("%s: threshold %d", name, role.Threshold)
	}
	if int64(len(signers)) < role.Threshold {
		return &ThresholdError{Role: name, Have: len(signers), Need: role.Threshold}
	}
	return nil
}

// SignedBy returns the IDs, among keyIDs, of the keys with a good signature on
// the file. With exact, RSA signatures must have the salt length that every
// client takes.
func (f *File[T]) SignedBy(keyIDs []string, keys map[string]Key, exact bool) []string {
	ids, err := f.signers(keyIDs, keys, exact)
	if err != nil {
		return nil
	}
	return ids
}

// signers returns one ID per distinct key among keyIDs with a good signature.
func (f *File[T]) signers(keyIDs []string, keys map[string]Key, exact bool) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for _, id := range keyIDs {
		key, ok := keys[id]
		if !ok {
			return nil, fmt.Errorf("key %s is not listed", id)
		}
		print := key.fingerprint()
		if seen[print] || !f.hasSignature(id, key, exact) {
			continue
		}
		seen[print] = true
		ids = append(ids, id)
	}
	return ids, nil
}

func (f *File[T]) hasSignature(keyID string, key Key, exact bool) bool {
	for _, s := range f.Signatures {
		if s.KeyID != keyID {
			continue
		}
		sig, err := hex.DecodeString(s.Sig)
		if err == nil && key.Verify(f.payload, sig, exact) == nil {
			return true
		}
	}
	return false
}
