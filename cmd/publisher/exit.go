package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/storage"
)

// The exit codes. Scripts rely on them: they never change their meaning.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitVerification = 3
	exitPermission   = 4
	exitNotFound     = 5
	exitConflict     = 6
	exitExpiring     = 7
	exitKey          = 8
	exitThreshold    = 9
	exitDraft        = 10
	exitInterrupted  = 130
)

const exitCodesHelp = `Exit codes:
  0    ok
  1    failed
  2    wrong usage
  3    verification failed
  4    permission denied
  5    not found, or not initialized
  6    conflict
  7    expiring (status --fail-within)
  8    key or passphrase
  9    threshold not met
  10   a draft waits for signatures of others
  130  interrupted`

var errInterrupted = errors.New("interrupted")

// A cliError is an error with what the command line adds to it: what to type
// next, and an exit code other than the one that follows from the error.
type cliError struct {
	err  error
	hint string
	code int // 0: by the error
}

func (e *cliError) Error() string { return e.err.Error() }
func (e *cliError) Unwrap() error { return e.err }

// hinted adds what to type next.
func hinted(err error, hint string, args ...any) error {
	if err == nil {
		return nil
	}
	return &cliError{err: err, hint: fmt.Sprintf(hint, args...)}
}

// usage is an error in the way the program was called.
func usage(hint, format string, args ...any) error {
	return &cliError{err: fmt.Errorf(format, args...), hint: hint, code: exitUsage}
}

// usageOf is an error in the way that cmd was called.
func usageOf(cmd *cobra.Command, err error) error {
	return &cliError{err: err, hint: cmd.CommandPath() + " --help", code: exitUsage}
}

// report tells the user about err, on stderr, and returns the exit code: one
// line says what is wrong and one what to do.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	code, hint := diagnose(err)
	if hint == verifyHint && a.publishes(a.named) {
		hint = restoreHint
	}
	if a.named != "" {
		hint = strings.ReplaceAll(hint, "COLLECTION", a.named)
	}
	a.errorf("%s", oneLine(err.Error()))
	if hint != "" {
		a.hintf("%s", hint)
	}
	return code
}

// diagnose finds the exit code and the hint of an error.
func diagnose(err error) (code int, hint string) {
	code, hint = foreseen(err)
	code, hint = told(err, code, hint)
	if code == 0 {
		code = exitFailed
	}
	if hint == "" {
		hint = "run the same command again; if that does not help: publisher check COLLECTION"
	}
	return code, hint
}

// publishes reports whether keys of a collection are here.
func (a *app) publishes(name string) bool {
	for id := range a.trustedKeys(name) {
		if _, err := a.trust.Keys().Get(id); err == nil {
			return true
		}
	}
	return false
}

// foreseen is what diagnoses say of an error, or nothing.
func foreseen(err error) (code int, hint string) {
	for _, d := range diagnoses {
		if d.is(err) {
			return d.code, d.hint
		}
	}
	return 0, ""
}

// told is what the command line itself says of an error, the outermost word
// first, and for what it does not say, code and hint.
func told(err error, code int, hint string) (int, string) {
	var c *cliError
	if !errors.As(err, &c) {
		return code, hint
	}
	code, hint = told(c.err, code, hint)
	if c.code != 0 {
		code = c.code
	}
	if c.hint != "" {
		hint = c.hint
	}
	return code, hint
}

// diagnoses is looked through in order: a VerifyError about a missing file is
// about verification.
var diagnoses = []struct {
	is   func(error) bool
	code int
	hint string
}{
	{is(errInterrupted), exitInterrupted, "run the same command again: it goes on where it stopped"},
	{is(context.Canceled), exitInterrupted, "run the same command again: it goes on where it stopped"},
	{isUnknownCommand, exitUsage, "publisher --help"},
	{as[*repo.ExpiredError], exitVerification, "ask its publisher to run: publisher refresh COLLECTION (timestamp, snapshot) or publisher publish COLLECTION (targets)"},
	{as[*repo.PinError], exitVerification, "do not use what you have; publisher config show COLLECTION shows what is pinned: whoever pinned it knows whether that is still right"},
	{is(repo.ErrRotated), exitConflict, "publisher root COLLECTION shows the keys in force; key rotate again replaces them"},
	{is(repo.ErrLastVersion), exitVerification, "publisher key rotate COLLECTION timestamp --recover"},
	{as[*repo.VerifyError], exitVerification, verifyHint},
	{as[*repo.GraceError], exitConflict, "run the same command again after that time"},
	{as[*repo.DraftError], exitDraft, "publisher sign COLLECTION"},
	{is(repo.ErrNoRoot), exitNotFound, "publisher sign COLLECTION shows whose signatures its first root needs"},
	{as[*repo.CollectedError], exitConflict, collectedHint},
	{is(repo.ErrOther), exitConflict, "publisher mirror SRC DST with a DST that is empty, or was copied from this source"},
	{as[*repo.DamagedError], exitVerification, "if nobody else writes there, remove that object from the mirror and run the same command again: it is copied anew"},
	{is(repo.ErrUnversioned), exitFailed, "ask its publisher for consistent snapshots, or copy its files while nobody reads the mirror"},
	{as[*repo.ClockError], exitFailed, "date -u shows the clock of this machine: set it right, or that of the store"},
	{is(repo.ErrAhead), exitConflict, "copy the other way round, or look for who publishes to the mirror"},
	{as[*repo.ThresholdError], exitThreshold, "publisher key import FILE --role ROLE brings in a missing key"},
	{is(keys.ErrPassphrase), exitKey, "set PUBLISHER_<ROLE>_PASSPHRASE, or use --passphrase-file FILE"},
	{is(repo.ErrPublished), exitConflict, "publisher trust add COLLECTION --root FILE to use the one that is there, or choose another name"},
	{is(repo.ErrFileChanged), exitFailed, "stage it again with publisher add"},
	{is(repo.ErrCollectionName), exitUsage, "use a name such as example.com/scripts"},
	{is(storage.ErrDamaged), exitVerification, verifyHint},
	{is(storage.ErrConflict), exitConflict, "run the same command again"},
	{is(storage.ErrNoStore), exitNotFound, "make the bucket first, or correct --store"},
	{is(fs.ErrPermission), exitPermission, "grant the missing permission, or use other credentials"},
	{is(repo.ErrNotPublished), exitNotFound, "publisher publish COLLECTION publishes it for the first time"},
	{is(repo.ErrNoTarget), exitNotFound, "publisher list COLLECTION shows what is there"},
	{is(repo.ErrNoRole), exitNotFound, "publisher list COLLECTION shows what is there"},
	{is(fs.ErrNotExist), exitNotFound, "check the name"},
	{is(fs.ErrExist), exitConflict, "choose another name"},
	{is(syscall.ENOTDIR), exitFailed, "choose another name: where it has a directory there is a file or an object"},
	{is(syscall.ENOSPC), exitFailed, "make room on the disk and run the same command again: nothing is lost"},
	{is(storage.ErrSlow), exitFailed, "run the same command again later, or read from another mirror with --url"},
	{is(context.DeadlineExceeded), exitFailed, unreachable},
	{as[*net.OpError], exitFailed, unreachable},
	{as[*url.Error], exitFailed, unreachable},
	{as[statusError], exitFailed, unreachable},
}

// What to do about content that does not verify: for who pulls it, and for who
// publishes it.
const (
	verifyHint  = "do not use what you have; publisher check COLLECTION lists everything that is wrong"
	restoreHint = "publisher check COLLECTION lists everything that is wrong: restore that from a backup or a mirror"
)

// collectedHint is for what a garbage collection keeps from being published, which
// has been waited for already.
const collectedHint = "run the same command again later; if that collection was interrupted, publisher gc COLLECTION goes on with it"

const unreachable = "check that the store can be reached, and run the same command again"

// A statusError is the answer of a server that does not do what it was asked,
// as the AWS SDK has it.
type statusError interface {
	error
	HTTPStatusCode() int
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// isUnknownCommand: cobra has no type for it.
func isUnknownCommand(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command ")
}

// exclusive is an error about what cannot be given together.
func exclusive(given ...string) error {
	last := len(given) - 1
	return usage("leave out one of them", "%s and %s exclude each other", strings.Join(given[:last], ", "), given[last])
}

// flagGroup puts into our words what cobra says of flags that exclude one
// another; it has no type for that either. Other errors stay as they are.
func flagGroup(err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "if any flags in the group ") {
		return err
	}
	_, given, _ := strings.Cut(err.Error(), "; [")
	given, _, _ = strings.Cut(given, "]")
	flags := strings.Fields(given)
	for i, name := range flags {
		flags[i] = "--" + name
	}
	if len(flags) < 2 {
		return err
	}
	return exclusive(flags...)
}

// oneLine keeps an error to the one line that is promised.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
