package repo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/tuf"
)

// This file is the profile: what all TUF clients read, and therefore all that
// commit publishes. It is stricter than the specification where clients differ.

// isForeign reports a root that another program has made. Nobody has promised to
// keep our profile there, nor anything that TUF does not ask for.
func isForeign(root *tuf.Root) bool { return root.Publisher.Collection == "" }

// checkForm checks what every file must keep beyond what Parse asks for: our
// collection and our encoding.
func checkForm[T tuf.Content](f *tuf.File[T], collection string) error {
	head := f.Head()
	if head.SpecVersion != tuf.SpecVersion {
		return fmt.Errorf("spec_version %q, not %q", head.SpecVersion, tuf.SpecVersion)
	}
	if got := head.Publisher.Collection; got != collection {
		return fmt.Errorf("it belongs to the collection %q", got)
	}
	again, err := tuf.New(f.Signed)
	if err != nil {
		return err
	}
	if !bytes.Equal(again.Payload(), f.Payload()) {
		return errors.New("its form is not the one every client reads: null or empty fields, or expires not in whole seconds UTC")
	}
	if f.SortsOtherwise() {
		return errors.New("some names have another order for clients in JavaScript, which could not verify it: characters beyond U+FFFF beside some from U+E000 on")
	}
	return nil
}

// checkRoot checks the content of a root.
func checkRoot(f *tuf.File[tuf.Root]) error {
	root := &f.Signed
	if err := checkVersioned(f); err != nil {
		return err
	}
	if err := checkKeys(root.Keys); err != nil {
		return err
	}
	for role := range root.Roles {
		if !isTopLevel(role) {
			return fmt.Errorf("it has a role %q", role)
		}
	}
	for _, role := range tuf.TopLevel {
		r := root.Roles[role]
		if err := checkRole(r.KeyIDs, r.Threshold, root.Keys); err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
	}
	if err := checkLifetimes(root); err != nil {
		return err
	}
	if err := checkCerts(root); err != nil {
		return err
	}
	if err := checkTimestampSize(root); err != nil {
		return err
	}
	return checkSeparation(root)
}

// checkVersioned refuses files whose names do not tell their versions, and which
// are therefore replaced while clients read them; TUF specification, section 6.2.
func checkVersioned(root *tuf.File[tuf.Root]) error {
	if !root.Signed.ConsistentSnapshot {
		return errors.New("consistent_snapshot is false")
	}
	return nil
}

// maxLifetime is the longest lifetime that a root may ask for.
const maxLifetime = 50 * 365 * 24 * time.Hour

func checkLifetimes(root *tuf.Root) error {
	for role, seconds := range root.Publisher.Lifetimes {
		if err := CheckDelegation(role); err != nil && !isTopLevel(role) {
			return fmt.Errorf("a lifetime: %w", err)
		}
		if seconds < 1 || seconds > int64(maxLifetime/time.Second) {
			return fmt.Errorf("the lifetime of %s is %d seconds", role, seconds)
		}
	}
	return nil
}

// checkTimestampSize refuses a threshold whose signatures could not fit a
// timestamp that clients read.
func checkTimestampSize(root *tuf.Root) error {
	const perSignature, content = 100, 2000 // bytes, generously
	role, size := root.Roles[tuf.RoleTimestamp], int64(content)
	for _, id := range role.KeyIDs[:role.Threshold] {
		size += perSignature + int64(len(root.Keys[id].Value.Public))*2
	}
	if size > MaxTimestamp {
		return fmt.Errorf("role timestamp: %d signatures do not fit the %d bytes that clients read", role.Threshold, MaxTimestamp)
	}
	return nil
}

// checkSeparation: a key that a schedule uses must not sign what people decide.
func checkSeparation(root *tuf.Root) error {
	for _, online := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		for _, offline := range []string{tuf.RoleRoot, tuf.RoleTargets} {
			for _, id := range root.Roles[online].KeyIDs {
				if slices.Contains(root.Roles[offline].KeyIDs, id) {
					return fmt.Errorf("key %s serves both %s and %s", tuf.ShortID(id), offline, online)
				}
			}
		}
	}
	return nil
}

// checkKeys checks a table of keys: each is one that every client reads,
// described as they describe it, and stands under its own ID. So no key stands
// there twice.
func checkKeys(keys map[string]tuf.Key) error {
	for id, key := range keys {
		if got := key.ID(); got != id {
			return fmt.Errorf("key %s: its ID is %s", tuf.ShortID(id), tuf.ShortID(got))
		}
		pub, err := key.Public()
		if err != nil {
			return fmt.Errorf("key %s: %w", tuf.ShortID(id), err)
		}
		plain, err := tuf.NewKey(pub)
		if err != nil {
			return fmt.Errorf("key %s: %w", tuf.ShortID(id), err)
		}
		if plain.ID() != id {
			return fmt.Errorf("key %s: it is described otherwise than as %s, and clients may take it for two keys", tuf.ShortID(id), tuf.ShortID(plain.ID()))
		}
	}
	return nil
}

// checkRole checks who may sign: distinct listed keys, and as many as needed.
func checkRole(keyIDs []string, threshold int64, keys map[string]tuf.Key) error {
	for i, id := range keyIDs {
		if _, ok := keys[id]; !ok {
			return fmt.Errorf("key %s is not listed", tuf.ShortID(id))
		}
		if slices.Contains(keyIDs[:i], id) {
			return fmt.Errorf("key %s is named twice", tuf.ShortID(id))
		}
	}
	if threshold < 1 || threshold > int64(len(keyIDs)) {
		return &TooFewKeysError{threshold, len(keyIDs)}
	}
	return nil
}

// checkTargets checks the content of a targets role, apart from what its
// delegators allow.
func checkTargets(t *tuf.Targets) error {
	for name, file := range t.Targets {
		if err := CheckTargetName(name); err != nil {
			return err
		}
		if err := CheckTargetFile(file); err != nil {
			return fmt.Errorf("target %q: %w", name, err)
		}
	}
	if t.Delegations == nil {
		return nil
	}
	return checkDelegations(t.Delegations)
}

// CheckTargetFile reports why a target's description is not one that every
// client reads.
func CheckTargetFile(file tuf.TargetFile) error {
	if file.Length < 0 {
		return fmt.Errorf("length %d", file.Length)
	}
	sum, ok := file.Hashes["sha256"]
	if !ok || len(file.Hashes) != 1 {
		return errors.New("its hashes are not sha256 alone")
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sum {
		return fmt.Errorf("%q is not a sha256 in lower-case hex", sum)
	}
	return CheckCustom(file.Custom)
}

// CheckCustom reports why a target's custom data is not what every client
// reads: an object, or nothing.
func CheckCustom(custom jsontext.Value) error {
	switch {
	case custom == nil || custom.Kind() == '{':
		return nil
	case custom.Kind() == 'n':
		return errors.New("custom is null")
	}
	return errors.New("custom is not an object")
}

func checkDelegations(d *tuf.Delegations) error {
	if d.SuccinctRoles != nil {
		return errors.New("succinct_roles, which five client libraries cannot read")
	}
	if err := checkKeys(d.Keys); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range d.Roles {
		role := &d.Roles[i]
		if err := checkDelegatedRole(role, d.Keys); err != nil {
			return fmt.Errorf("delegation %s: %w", RoleToNotary(role.Name), err)
		}
		if seen[role.Name] {
			return fmt.Errorf("delegation %s is there twice", RoleToNotary(role.Name))
		}
		seen[role.Name] = true
	}
	return nil
}

func checkDelegatedRole(d *tuf.DelegatedRole, keys map[string]tuf.Key) error {
	if err := CheckDelegation(d.Name); err != nil {
		return err
	}
	if len(d.PathHashPrefixes) > 0 {
		return errors.New("path_hash_prefixes, which some clients compare wrongly")
	}
	if len(d.Paths) == 0 {
		return errors.New("it has no paths, without which python-tuf refuses the role that delegates")
	}
	for _, pattern := range d.Paths {
		if err := CheckPattern(pattern); err != nil {
			return err
		}
	}
	return checkRole(d.KeyIDs, d.Threshold, keys)
}
