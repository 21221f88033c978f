package repo

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// This file holds the name of everything that is stored. Its functions are
// pure, and nothing else puts keys together.

// MaxCollection is the longest name of a collection, in bytes.
const MaxCollection = 255

// reserved are the words of the layout. They cannot be segments of a
// collection's name, so that no collection lies inside another's objects and
// policies by prefix never overlap.
var reserved = []string{"metadata", "targets", "parts", "submissions", "receipts", "keys", "drafts"}

// ErrCollectionName reports a name that no collection can have.
var ErrCollectionName = errors.New("not a collection name")

// CheckCollection reports why name is not a collection's: one or more segments
// [a-z0-9][a-z0-9._-]* joined by slashes, none of them a word of the layout, at
// most MaxCollection bytes.
func CheckCollection(name string) error {
	if len(name) > MaxCollection {
		return fmt.Errorf("%w: %d characters, at most %d", ErrCollectionName, len(name), MaxCollection)
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("%w: %q has an empty segment", ErrCollectionName, name)
		case slices.Contains(reserved, segment):
			return fmt.Errorf("%w: %q is a reserved word", ErrCollectionName, segment)
		case !segmentOf(segment, "._-"):
			return fmt.Errorf("%w: %q (lower-case letters, digits, then also . _ -)", ErrCollectionName, segment)
		}
	}
	return nil
}

// segmentOf reports whether s is [a-z0-9] followed by [a-z0-9] or extra.
func segmentOf(s, extra string) bool {
	for i, r := range s {
		plain := 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
		if !plain && (i == 0 || !strings.ContainsRune(extra, r)) {
			return false
		}
	}
	return s != ""
}

// MetadataDir is where a collection's metadata lies.
func MetadataDir(collection string) string { return collection + "/metadata" }

// TargetsDir is where a collection's targets lie.
func TargetsDir(collection string) string { return collection + "/targets" }

// TimestampKey is the object that every read starts from, and the only one that
// is ever replaced; TUF specification, section 6.2.
func TimestampKey(collection string) string {
	return MetadataDir(collection) + "/timestamp.json"
}

// SlotKey is the object of one version of a role other than timestamp. It is
// written once.
func SlotKey(collection, role string, version int64) string {
	return MetadataDir(collection) + "/" + SlotName(role, version)
}

// SlotName is the last element of SlotKey.
func SlotName(role string, version int64) string {
	return strconv.FormatInt(version, 10) + "." + role + ".json"
}

// ParseSlot splits the name of a slot.
func ParseSlot(name string) (role string, version int64, ok bool) {
	number, rest, found := strings.Cut(name, ".")
	role, json := strings.CutSuffix(rest, ".json")
	version, err := strconv.ParseInt(number, 10, 64)
	return role, version, found && json && role != "" && err == nil && SlotName(role, version) == name
}

// ProbeKey is an object that a probe of the store writes and removes.
func ProbeKey(collection, unique string) string {
	return MetadataDir(collection) + "/probe-" + unique
}

// GarbageKey is an object that says what is about to be removed. It is removed
// with it.
func GarbageKey(collection string) string { return MetadataDir(collection) + "/garbage.json" }

// TargetKey is the object that holds a target's bytes: its hash stands before
// the last element of its name; TUF specification, section 6.2.
func TargetKey(collection, name, sha256 string) string {
	dir, base := path.Split(name)
	return TargetsDir(collection) + "/" + dir + sha256 + "." + base
}

// The private store, which nobody is served from.

// PartKey is a signed role file of a submission, named by its hash.
func PartKey(collection, sha256 string) string { return collection + "/parts/" + sha256 }

// SubmissionKey is the manifest that makes parts a submission; name is a ULID.
func SubmissionKey(collection, name string) string {
	return SubmissionsDir(collection) + name + ".json"
}

// SubmissionsDir is what the submissions of a collection lie below.
func SubmissionsDir(collection string) string { return collection + "/submissions/" }

// QuarantineKey is where the manifest of a submission goes that could not be
// answered in any orderly way.
func QuarantineKey(collection, name string) string {
	return QuarantineDir(collection) + name + ".json"
}

// QuarantineDir is what they lie below.
func QuarantineDir(collection string) string { return SubmissionsDir(collection) + "quarantine/" }

// ReceiptKey is the answer to a submission, by the hash of its manifest.
func ReceiptKey(collection, sha256 string) string {
	return ReceiptsDir(collection) + sha256 + ".json"
}

// ReceiptsDir is what the receipts of a collection lie below.
func ReceiptsDir(collection string) string { return collection + "/receipts/" }

// OnlineKeyKey is an online key of a role.
func OnlineKeyKey(collection, role, keyID string) string {
	return OnlineKeysDir(collection, role) + keyID + ".json"
}

// OnlineKeysDir is what the online keys of a role lie below.
func OnlineKeysDir(collection, role string) string { return collection + "/keys/" + role + "/" }

// privateDirs is what a collection's objects in the private store lie below.
func privateDirs(collection string, keys bool) []string {
	dirs := []string{SubmissionsDir(collection), collection + "/parts/", collection + "/drafts/", ReceiptsDir(collection)}
	if keys {
		dirs = append(dirs, collection+"/keys/")
	}
	return dirs
}

// SignerDir holds the online signer's own notes in the private store. No
// collection's name begins with an underscore, so no publisher may write there.
const SignerDir = "_signer/"

// KnownDir is what the collections that the signer knows are listed by.
const KnownDir = SignerDir + "collections/"

// KnownKey says that the signer publishes a collection.
func KnownKey(collection string) string { return KnownDir + collection + "/_.json" }

// ParseKnown is the collection that a KnownKey is of.
func ParseKnown(key string) (collection string, ok bool) {
	collection, ok = strings.CutPrefix(key, KnownDir)
	collection, last := strings.CutSuffix(collection, "/_.json")
	return collection, ok && last && CheckCollection(collection) == nil
}

// AskedDir is what the collections are listed by that the signer has made keys
// for, and that nobody has published yet.
const AskedDir = SignerDir + "asked/"

// AskedKey says that the signer has made keys for a collection, before there is
// anything of it.
func AskedKey(collection string) string { return AskedDir + collection + "/_.json" }

// ParseAsked is the collection that an AskedKey is of.
func ParseAsked(key string) (collection string, ok bool) {
	rest, ok := strings.CutPrefix(key, AskedDir)
	collection, known := ParseKnown(KnownDir + rest)
	return collection, ok && known
}

// PublishedKey is which versions of a collection the signer has published.
func PublishedKey(collection string) string {
	return SignerDir + "published/" + collection + "/_.json"
}

// AttemptsKey is how often the signer has begun to work on a submission.
func AttemptsKey(collection, name string) string {
	return AttemptsDir + collection + "/_/" + name + ".json"
}

// AttemptsDir is what those notes are listed by.
const AttemptsDir = SignerDir + "attempts/"

// ParseAttempts is the submission that an AttemptsKey is of.
func ParseAttempts(key string) (collection, name string, ok bool) {
	rest, below := strings.CutPrefix(key, AttemptsDir)
	collection, name, split := strings.Cut(rest, "/_/")
	name, json := strings.CutSuffix(name, ".json")
	return collection, name, below && split && json && CheckCollection(collection) == nil && isULID(name)
}

// ProgressKey is where the signer notes how far it has come with something that
// takes several runs; what is a word of its own choice.
func ProgressKey(what string) string { return SignerDir + what + ".json" }

// DraftsDir is what the shared drafts of a collection lie below.
func DraftsDir(collection string) string { return collection + "/drafts/" }

// DraftKey is what a shared draft says, by the draft's ID.
func DraftKey(collection, id string) string { return DraftsDir(collection) + id + "/draft.json" }

// DraftSignaturesDir is what the signatures of a shared draft lie below.
func DraftSignaturesDir(collection, id string) string {
	return DraftsDir(collection) + id + "/signatures/"
}

// DraftSignatureKey is one signature of a shared draft, named by the hash of the
// object: nobody can take the place of another's.
func DraftSignatureKey(collection, id, sha256 string) string {
	return DraftSignaturesDir(collection, id) + sha256 + ".json"
}

// DraftDiscardedKey says that a shared draft is not to be signed any more, where
// nobody may delete it.
func DraftDiscardedKey(collection, id string) string {
	return DraftsDir(collection) + id + "/discarded.json"
}

// A PrivateKey is the name of an object of the private store, taken apart.
type PrivateKey struct {
	Collection string
	Kind       string // parts, submissions, receipts, keys or drafts
	Name       string // what follows, without .json
}

// ParsePrivate takes the name of an object of the private store apart.
func ParsePrivate(key string) (PrivateKey, bool) {
	segments := strings.Split(key, "/")
	i := slices.IndexFunc(segments, func(s string) bool { return slices.Contains(reserved, s) })
	if i < 1 || i == len(segments)-1 {
		return PrivateKey{}, false
	}
	p := PrivateKey{
		Collection: strings.Join(segments[:i], "/"), Kind: segments[i],
		Name: strings.TrimSuffix(strings.Join(segments[i+1:], "/"), ".json"),
	}
	return p, CheckCollection(p.Collection) == nil && p.Kind != "metadata" && p.Kind != "targets"
}

// RoleFromNotary translates a Notary role: targets/releases/ci is releases.ci
// in the files, because some clients and hosts fail on a slash in a file name.
func RoleFromNotary(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "targets/"), "/", ".")
}

// RoleToNotary is how a role is shown to people.
func RoleToNotary(role string) string {
	if slices.Contains([]string{"root", "targets", "snapshot", "timestamp"}, role) {
		return role
	}
	return "targets/" + strings.ReplaceAll(role, ".", "/")
}

// CheckDelegation reports why role cannot be the name of a delegation:
// segments [a-z0-9][a-z0-9_-]* joined by dots, at most 128 characters, none of
// the top-level roles.
func CheckDelegation(role string) error {
	if len(role) > maxRoleName {
		return fmt.Errorf("role name of %d characters, at most %d", len(role), maxRoleName)
	}
	for segment := range strings.SplitSeq(role, ".") {
		if !segmentOf(segment, "_-") {
			return fmt.Errorf("role name %q: lower-case letters, digits, then also _ - in each segment", role)
		}
	}
	if RoleToNotary(role) == role {
		return fmt.Errorf("role name %q is a top-level role", role)
	}
	return nil
}
