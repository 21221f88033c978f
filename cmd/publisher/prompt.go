package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

const (
	minPassphrase = 8 // characters
	maxTries      = 3
)

// passphrases is what the user has told so far. People have few of them: one
// for the root key, one for the other keys of a collection, one for
// delegations; these are the kinds.
type passphrases struct {
	file   []byte              // that of --passphrase-file, once read
	chosen map[string][]byte   // for new keys, by kind
	opened map[string][][]byte // those that opened a key, by kind
}

func kindOf(role string) string {
	switch role {
	case tuf.RoleRoot:
		return "root"
	case tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp:
		return "collection"
	}
	return "delegation"
}

func (p *passphrases) choose(role string, passphrase []byte) {
	if p.chosen == nil {
		p.chosen = map[string][]byte{}
	}
	p.chosen[kindOf(role)] = passphrase
	p.remember(role, passphrase)
}

func (p *passphrases) remember(role string, passphrase []byte) {
	if p.opened == nil {
		p.opened = map[string][][]byte{}
	}
	p.opened[kindOf(role)] = append(p.opened[kindOf(role)], passphrase)
}

// passphraseVariable names the variable that holds the passphrase of a role's
// keys.
func passphraseVariable(role string) string {
	if !slices.Contains(tuf.TopLevel, role) {
		role = "delegation"
	}
	return "PUBLISHER_" + strings.ToUpper(role) + "_PASSPHRASE"
}

// configured is the passphrase for a role's keys that the user has put into
// --passphrase-file or the environment, and where it comes from. It is empty if
// there is none.
func (a *app) configured(role string) (passphrase []byte, from string, err error) {
	if a.flags.passphraseFile != "" {
		passphrase, err = a.passphraseOfFile()
		return passphrase, a.flags.passphraseFile, err
	}
	passphrase, from = passphraseIn(passphraseVariable(role))
	return passphrase, from, nil
}

// passphraseIn is the passphrase of a variable, or of Notary's of that name.
func passphraseIn(ours string) (passphrase []byte, from string) {
	for _, name := range []string{ours, "NOTARY" + strings.TrimPrefix(ours, "PUBLISHER")} {
		if value := os.Getenv(name); value != "" {
			return []byte(value), name
		}
	}
	return nil, ""
}

// shared is the passphrase of the targets key for those of snapshot and
// timestamp, which Notary has under one as well, unless they have their own.
func shared(role string) (passphrase []byte, from string) {
	if role != tuf.RoleSnapshot && role != tuf.RoleTimestamp {
		return nil, ""
	}
	return passphraseIn(passphraseVariable(tuf.RoleTargets))
}

func (a *app) passphraseOfFile() ([]byte, error) {
	if a.passphrases.file == nil {
		line, err := a.firstLine(a.flags.passphraseFile)
		if err != nil {
			return nil, err
		}
		a.passphrases.file = line
	}
	return a.passphrases.file, nil
}

// isCredential reports a file that systemd keeps for this service. An access list
// lets its user read it, and that shows as the mode of a group.
func isCredential(name string) bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(name) == filepath.Clean(dir)
}

// firstLine reads a passphrase from a file.
func (a *app) firstLine(name string) ([]byte, error) {
	unread := func(err error) error {
		return keyError("check the name of the file with the passphrase", "read passphrase: %w", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unread(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unread(err)
	}
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && !isCredential(name) {
		a.warnf("others can read the passphrase in %s: chmod 600 %[1]s", name)
	}
	line, err := bufio.NewReader(io.LimitReader(f, 64<<10)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unread(err)
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		return nil, keyError("write the passphrase into its first line", "no passphrase in %s", name)
	}
	return line, nil
}

// newPassphrase is the passphrase for a key of role that is about to be made.
// On a terminal it is asked for twice, once for all keys of a kind: targets,
// snapshot and timestamp have one.
func (a *app) newPassphrase(role string) ([]byte, error) {
	passphrase, from, err := a.configured(role)
	if err != nil {
		return nil, err
	}
	if from == "" {
		passphrase, from = shared(role)
	}
	if from != "" {
		return passphrase, longEnough(passphrase, from)
	}
	if passphrase, ok := a.passphrases.chosen[kindOf(role)]; ok {
		return passphrase, nil
	}
	return a.askNewPassphrase(role, passphraseHint(role))
}

// errShort reports a passphrase that no key is stored under.
var errShort = errors.New("too short for a new key")

func longEnough(passphrase []byte, from string) error {
	if utf8.RuneCount(passphrase) >= minPassphrase {
		return nil
	}
	return keyError(fmt.Sprintf("choose one of at least %d characters", minPassphrase), "the passphrase of %s is %w", from, errShort)
}

// askNewPassphrase asks on the terminal. The hint is for those without one.
func (a *app) askNewPassphrase(role, hint string) ([]byte, error) {
	t, err := a.terminal(keyError(hint, "no new passphrase for a %s", keyOf(role, "", "")))
	if err != nil {
		return nil, err
	}
	defer t.close()
	what := map[string]string{
		"root":       "root key",
		"collection": "targets, snapshot and timestamp keys",
		"delegation": "delegation key",
	}[kindOf(role)]
	for range maxTries {
		passphrase, err := t.twice(fmt.Sprintf("new passphrase for the %s:", what))
		if err != nil {
			return nil, err
		}
		if passphrase != nil {
			a.passphrases.choose(role, passphrase)
			return passphrase, nil
		}
	}
	return nil, keyError("run the same command again", "no passphrase chosen in %d tries", maxTries)
}

// twice is nil for a passphrase that cannot be taken; the user was told why.
func (t *tty) twice(question string) ([]byte, error) {
	passphrase, err := t.secret(question)
	if err != nil {
		return nil, answerless(err)
	}
	if utf8.RuneCount(passphrase) < minPassphrase {
		t.say("at least %d characters, please\n", minPassphrase)
		return nil, nil
	}
	again, err := t.secret("the same again:")
	if err != nil {
		return nil, answerless(err)
	}
	if !bytes.Equal(passphrase, again) {
		t.say("these were not the same\n")
		return nil, nil
	}
	return passphrase, nil
}

// passphraseFor is the passphrase of an existing key, that of --passphrase-file
// or of the environment, or else the user's next answer, which is not empty.
func (a *app) passphraseFor(role, key string) ([]byte, error) {
	passphrase, from, err := a.configured(role)
	if err != nil || from != "" {
		return passphrase, err
	}
	none := keyError(passphraseHint(role), "no passphrase for the %s", key)
	t, err := a.terminal(none)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for range maxTries {
		passphrase, err := t.secret(fmt.Sprintf("passphrase for %s:", key))
		if err != nil || len(passphrase) > 0 {
			return passphrase, answerless(err)
		}
	}
	return nil, none
}

// unlock calls open with the passphrases that the user has or types, until one
// is right or the user has had three tries; then the error wraps
// keys.ErrPassphrase. People know the key as keyOf calls it.
func (a *app) unlock(role, key string, open func(passphrase []byte) error) error {
	_, from, err := a.configured(role)
	if err != nil {
		return err
	}
	if from == "" {
		tries := a.passphrases.opened[kindOf(role)]
		if passphrase, from := shared(role); from != "" {
			tries = append(slices.Clip(tries), passphrase)
		}
		for _, passphrase := range tries {
			if err := open(passphrase); !errors.Is(err, keys.ErrPassphrase) {
				return err
			}
		}
	}
	for try := 1; ; try++ {
		passphrase, err := a.passphraseFor(role, key)
		if err != nil {
			return err
		}
		switch err := open(passphrase); {
		case err == nil:
			a.passphrases.remember(role, passphrase)
			return nil
		case !errors.Is(err, keys.ErrPassphrase):
			return err
		case from != "":
			return hinted(fmt.Errorf("%w in %s for the %s", keys.ErrPassphrase, from, key), "%s", a.rightPassphrase(from))
		case try == maxTries:
			return hinted(fmt.Errorf("%w for the %s", keys.ErrPassphrase, key), "publisher key list shows which key this is; publisher key import FILE brings in another copy")
		}
		a.warnf("wrong passphrase, try again")
	}
}

// rightPassphrase is what to do about a wrong passphrase in --passphrase-file or in
// a variable.
func (a *app) rightPassphrase(from string) string {
	if from == a.flags.passphraseFile {
		return "--passphrase-file with the file that has the right one in its first line"
	}
	return fmt.Sprintf("set %s to the right one, or use --passphrase-file FILE", from)
}

// keyOf is how a key is called: "targets key 1a2b3c4d5e6f of example.com/scripts".
func keyOf(role, keyID, collection string) string {
	name := strings.TrimSpace(shownRole(role) + " key " + tuf.ShortID(keyID))
	if collection != "" {
		name += " of " + collection
	}
	return printable(name) // key files may say anything
}

// shownRole is a role as people and key files call it, from that name or TUF's.
// Notary's key files say "delegation" when they do not know which.
func shownRole(role string) string {
	if role == "" || role == anyDelegation {
		return role
	}
	return repo.RoleToNotary(repo.RoleFromNotary(role))
}

const anyDelegation = "delegation"

// keyError is an error in a key or a passphrase.
func keyError(hint, format string, args ...any) error {
	return &cliError{err: fmt.Errorf(format, args...), hint: hint, code: exitKey}
}

func passphraseHint(role string) string {
	return fmt.Sprintf("set %s, or use --passphrase-file FILE, or run this on a terminal", passphraseVariable(role))
}

// answerless turns an input that ended into the error that it is here.
func answerless(err error) error {
	if errors.Is(err, errNoAnswer) {
		return keyError("run the same command again, or use --passphrase-file FILE", "no passphrase: the input ended")
	}
	return err
}

// terminal opens the terminal, or fails with otherwise if there is none or the
// user does not want to be asked.
func (a *app) terminal(otherwise error) (*tty, error) {
	if a.flags.noInput {
		return nil, otherwise
	}
	t, err := openTTY()
	if err != nil {
		a.debugf("no terminal: %v", err)
		return nil, otherwise
	}
	return t, nil
}

// confirm asks a question that --yes answers. Anything but a yes is a no.
func (a *app) confirm(question string) (bool, error) {
	if a.flags.yes {
		return true, nil
	}
	t, err := a.terminal(usage("add --yes to the command", "nobody there to ask: %s", question))
	if err != nil {
		return false, err
	}
	defer t.close()
	answer, err := t.line(question + " [y/N]")
	if errors.Is(err, errNoAnswer) {
		return false, nil
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}
