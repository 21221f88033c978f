package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

func newKey(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Make, keep and move the private keys that sign",
		GroupID: groupKeys,
		Long: `Make, keep and move the private keys that sign.

They are files in the trust directory, each encrypted under a passphrase, and are
named by their key ID or the first characters of it, at least 7.`,
	}
	return family(cmd,
		newKeyList(a), newKeyGenerate(a), newKeyImport(a), newKeyExport(a), newKeyPasswd(a), newKeyRotate(a), newKeyRemove(a))
}

// family makes cmd a command that does nothing itself and has verbs below it.
// Cobra alone would take an unknown verb for a request for help.
func family(cmd *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageOf(cmd, fmt.Errorf("%s needs one of its commands", cmd.CommandPath()))
		}
		return usageOf(cmd, fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()))
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.AddCommand(verbs...)
	return cmd
}

// A heldKey is a key of the trust directory, as far as its file tells without
// the passphrase.
type heldKey struct {
	ID         string `json:"keyid"`
	Role       string `json:"role"`       // empty if not told
	Collection string `json:"collection"` // empty if not told
	Algorithm  string `json:"algorithm"`  // empty if not told
	Encrypted  bool   `json:"encrypted"`
	Location   string `json:"location"`
	Error      string `json:"error,omitempty"` // why the file cannot be read; it then tells nothing

	pem []byte
}

func (k *heldKey) String() string { return keyOf(k.Role, k.ID, k.Collection) }

// heldKeys are all keys, also those whose file is damaged: see damagedKeys.
func (a *app) heldKeys() ([]heldKey, error) {
	ids, err := a.trust.Keys().List()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	held := make([]heldKey, len(ids))
	for i, id := range ids {
		if held[i], err = a.heldKey(id); err != nil {
			held[i] = heldKey{ID: id, Location: a.keyLocation(id), Error: oneLine(err.Error())}
		}
	}
	return held, nil
}

// damagedKeys is an error if some of the keys are damaged.
func damagedKeys(held []heldKey) error {
	var said []error
	var hint string
	for _, k := range held {
		if k.Error != "" {
			said = append(said, errors.New(k.Error))
			hint = heldKeyHint(k.ID)
		}
	}
	if said == nil {
		return nil
	}
	return keyError(hint, "%w", errors.Join(said...))
}

func (a *app) keyLocation(id string) string {
	return filepath.Join(a.trust.Path(), "private", id+".key")
}

func (a *app) heldKey(id string) (heldKey, error) {
	data, err := a.trust.Keys().Get(id)
	if err != nil {
		return heldKey{}, err
	}
	h, err := heldHeader(id, data)
	if err != nil {
		return heldKey{}, err
	}
	return heldKey{
		ID: id, Role: shownRole(h.Role), Collection: h.Collection, Encrypted: h.Encrypted,
		Algorithm: algorithmIn(data, id), Location: a.keyLocation(id),
		pem: data,
	}, nil
}

// algorithmIn is what the file of a key says of its algorithm: in the public
// half that stands beside the private one, or in the private one if that is not
// encrypted. Whatever does not belong to the key ID does not count.
func algorithmIn(data []byte, id string) string {
	key, _ := publicIn(data, id)
	return key.Type
}

// publicIn is the public half of a key, as its file tells.
func publicIn(data []byte, id string) (tuf.Key, bool) {
	if all, err := keys.Decode(data, nil); err == nil {
		if key, err := all[0].Public(); err == nil && key.ID() == id {
			return key, true
		}
	}
	for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
		if key, err := keys.ParsePublic(pem.EncodeToMemory(b)); err == nil && key.ID() == id {
			return key, true
		}
	}
	return tuf.Key{}, false
}

// minKeyID is the shortest part of a key ID that names a key, in characters.
const minKeyID = 7

// findKey finds the ID of the key that an ID, or its first characters, name.
func (a *app) findKey(id string) (string, error) {
	id = strings.ToLower(id)
	if len(id) < minKeyID || strings.Trim(id, "0123456789abcdef") != "" {
		return "", usage("publisher key list shows the key IDs", "%q is not a key ID, nor its first %d characters or more", id, minKeyID)
	}
	ids, err := a.trust.Keys().List()
	if err != nil {
		return "", fmt.Errorf("list keys: %w", err)
	}
	found := slices.DeleteFunc(ids, func(held string) bool { return !strings.HasPrefix(held, id) })
	switch len(found) {
	case 0:
		return "", noKeys("no key %s in %s", id, a.trust.Path())
	case 1:
		return found[0], nil
	}
	return "", usage("give more of the key ID", "%s could be key %s", id, strings.Join(found, " or "))
}

// findKeys finds the IDs of several keys, each once.
func (a *app) findKeys(ids []string) ([]string, error) {
	var found []string
	for _, id := range ids {
		full, err := a.findKey(id)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(found, full) {
			found = append(found, full)
		}
	}
	return found, nil
}

// keyPurpose is what a new key is for.
type keyPurpose struct {
	role       string
	collection string
}

func (p *keyPurpose) add(cmd *cobra.Command, role string) {
	f := cmd.Flags()
	f.StringVarP(&p.role, "role", "r", role, "the `role` that the key is for: root, targets, snapshot, timestamp, delegation or targets/…")
	f.StringVarP(&p.collection, "collection", "g", "", "the `collection` that the key is for")
	acceptGUN(f)
	completeFlag(cmd, "role", completeRoles)
}

// check refuses what no collection or role can be called.
func (p *keyPurpose) check() error {
	if p.collection != "" {
		if err := repo.CheckCollection(p.collection); err != nil {
			return err
		}
	}
	return checkKeyRole(p.role)
}

// checkKeyRole wants a delegation in Notary's form, with targets/ before its
// name: what has not is a top-level role that is misspelt, as often as not.
func checkKeyRole(role string) error {
	if slices.Contains(tuf.TopLevel, role) || role == anyDelegation {
		return nil
	}
	err := repo.CheckDelegation(repo.RoleFromNotary(role))
	if err == nil && !strings.HasPrefix(role, "targets/") {
		err = fmt.Errorf("unknown role %q: a delegation is targets/%s", role, role)
	}
	if err != nil {
		return usage("--role root, targets, snapshot, timestamp, delegation or targets/NAME", "%w", err)
	}
	return nil
}

// acceptGUN takes --gun, which is Notary's word, for --collection.
func acceptGUN(f *pflag.FlagSet) {
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "gun" {
			name = "collection"
		}
		return pflag.NormalizedName(name)
	})
}

// newSecret is what a key is stored under from now on.
type newSecret struct {
	none bool   // unencrypted
	file string // that has the passphrase
}

func (s *newSecret) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&s.none, "no-passphrase", false, "store the key unencrypted")
	f.StringVar(&s.file, "new-passphrase-file", "", "`file` whose first line is the new passphrase")
}

func (s *newSecret) check() error {
	if s.none && s.file != "" {
		return usage("leave out one of them", "--no-passphrase and --new-passphrase-file contradict each other")
	}
	return nil
}

// choosePassphrase is the passphrase that the flags tell, nil for none, or else
// the one that ask returns.
func (a *app) choosePassphrase(s newSecret, ask func() ([]byte, error)) ([]byte, error) {
	switch {
	case s.none:
		a.warnf("the key is stored unencrypted: whoever can read its file can sign with it")
		return nil, nil
	case s.file != "":
		passphrase, err := a.firstLine(s.file)
		if err != nil {
			return nil, err
		}
		return passphrase, longEnough(passphrase, s.file)
	}
	return ask()
}
