package repo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"publisher/storage"
)

var (
	// ErrNotPublished reports a collection that has no timestamp.json yet.
	ErrNotPublished = errors.New("the collection is not published")

	// ErrPublished reports a first publication of a collection that is there
	// already, under another root.
	ErrPublished = errors.New("the collection is published already, under another root")

	// ErrDraftPublished reports a draft that is published, by whoever did it.
	ErrDraftPublished = errors.New("the draft is published")

	// ErrNoRoot reports a collection of which no root is trusted here: its first
	// one is being signed.
	ErrNoRoot = errors.New("no root of the collection is trusted here")

	// ErrNoTarget reports a target that no role lists.
	ErrNoTarget = errors.New("no such target")

	// ErrNoRole reports a role that the collection does not have.
	ErrNoRole = errors.New("no such role")

	// ErrRotated reports a rotation of keys that somebody else has replaced since it
	// was decided on: see Rotation.After.
	ErrRotated = errors.New("rotated by somebody else meanwhile")

	// ErrLastVersion reports a version after which no other can come, which nobody
	// reaches by signing honestly: an online key was stolen. See Rotation.Recover.
	ErrLastVersion = errors.New("no version can follow")

	// ErrNoKey is returned by a Keyring for a key that it does not hold; the
	// next key of the role is tried. All its other errors are fatal.
	ErrNoKey = errors.New("private key not held")
)

// A VerifyError reports published content that does not verify: somebody
// tampers with it, the store lost or mixed something up, or the trusted root is
// another collection's.
type VerifyError struct {
	File string
	Err  error
}

func (e *VerifyError) Error() string { return fmt.Sprintf("verify %s: %v", e.File, e.Err) }
func (e *VerifyError) Unwrap() error { return e.Err }

func unverified(file string, err error) error {
	return &VerifyError{File: file, Err: err}
}

// An ExpiredError reports metadata past its expiry: nobody renewed it, or
// somebody withholds the renewal; TUF specification, sections 5.3.10 to 5.6.6.
type ExpiredError struct {
	Role string
	At   time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%s expired at %s", RoleToNotary(e.Role), e.At.UTC().Format(time.RFC3339))
}

// A ThresholdError reports a role that too few of the keys at hand can sign.
type ThresholdError struct {
	Role    string
	Have    int
	Need    int64
	Missing []string // IDs of keys of the role that did not sign
}

func (e *ThresholdError) Error() string {
	return fmt.Sprintf("%s: %d of %d required keys at hand", RoleToNotary(e.Role), e.Have, e.Need)
}

// A StaleError reports a submission made from a version of a role that is no
// longer the published one: somebody else's publish came first. Apply the
// changes to the new one.
type StaleError struct {
	Role string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("%s was published by somebody else meanwhile", RoleToNotary(e.Role))
}

func (e *StaleError) Is(target error) bool { return target == storage.ErrConflict }

// A BurnedError reports a slot that holds something else: that number is lost,
// sign the next one.
type BurnedError struct {
	Role    string
	Version int64
}

func (e *BurnedError) Error() string {
	return fmt.Sprintf("%s is taken by an unfinished publish", SlotName(e.Role, e.Version))
}

func (e *BurnedError) Is(target error) bool { return target == storage.ErrConflict }

// A Rejection reports a submission that commit refuses. Nothing was written.
type Rejection struct {
	Role   string
	Reason error
}

func (e *Rejection) Error() string {
	if e.Role == "" {
		return fmt.Sprintf("submission refused: %v", e.Reason)
	}
	return fmt.Sprintf("submission refused: %s: %v", RoleToNotary(e.Role), e.Reason)
}

func (e *Rejection) Unwrap() error { return e.Reason }

// Untimely reports whether the committer's clock finds that something submitted
// has expired, or lasts for too long. If it has just been signed, one of the two
// clocks is wrong. It also knows a rejection that has come in a receipt.
func (e *Rejection) Untimely() bool {
	text, atOnce := strings.CutPrefix(e.Reason.Error(), "it expired at ")
	return atOnce && !strings.HasSuffix(text, rootExpired) || strings.HasPrefix(text, "it expires at ")
}

// Misnamed reports whether a role delegates to one whose name says that another
// does, and which role that is, as people call it. It also knows a rejection that
// has come in a receipt.
func (e *Rejection) Misnamed() (parent string, ok bool) {
	parent, _, ok = strings.Cut(e.Reason.Error(), nameText)
	return parent, ok
}

// A MissingError is the reason of a Rejection: a target that is new, and that the
// store does not have. It wraps fs.ErrNotExist where the store has just said so,
// and not where a receipt does.
type MissingError struct {
	Name string
	Err  error
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("target %q is not in the store", e.Name)
	if e.Err == nil {
		return text
	}
	return text + ": " + e.Err.Error()
}

func (e *MissingError) Unwrap() error { return e.Err }

// rootExpired ends the rejection of what nobody could see, because it is the
// published root that has expired.
const rootExpired = ": clients take nothing until there is a new one"

func reject(role string, format string, args ...any) error {
	return &Rejection{Role: role, Reason: fmt.Errorf(format, args...)}
}

// A TooFewKeysError reports a threshold that the keys of a role cannot meet.
type TooFewKeysError struct {
	Threshold int64
	Keys      int
}

func (e *TooFewKeysError) Error() string {
	return fmt.Sprintf("threshold %d with %d keys", e.Threshold, e.Keys)
}
