package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/tuf"
)

// A Keyring finds the private half of a key. Its error wraps ErrNoKey for one
// that it does not hold.
type Keyring interface {
	Signer(ctx context.Context, role, keyID string) (signature.Signer, error)
}

// Lifetimes is how long the signatures of each role last. Delegations that have
// no entry of their own last as long as targets. It is part of the root, so that whoever signs needs
// no configuration of their own.
type Lifetimes map[string]time.Duration

// DefaultLifetimes is for roles that nobody chose a lifetime for: long for
// those whose keys are offline, short for those that a schedule renews.
func DefaultLifetimes() Lifetimes {
	const day = 24 * time.Hour
	return Lifetimes{
		tuf.RoleRoot:      730 * day,
		tuf.RoleTargets:   365 * day,
		tuf.RoleSnapshot:  30 * day,
		tuf.RoleTimestamp: 14 * day,
	}
}

// lifetime is how long a new signature of role lasts, by the policy in root.
func lifetime(root *tuf.Root, role string) time.Duration {
	seconds, ok := root.Publisher.Lifetimes[role]
	if !ok {
		seconds, ok = root.Publisher.Lifetimes[tuf.RoleTargets], !isTopLevel(role)
	}
	if !ok || seconds < 1 || seconds > int64(maxLifetime/time.Second) {
		if !isTopLevel(role) {
			role = tuf.RoleTargets
		}
		return DefaultLifetimes()[role]
	}
	return time.Duration(seconds) * time.Second
}

// Lifetime is how long a new signature of role lasts, by the policy in root.
func Lifetime(root *tuf.Root, role string) time.Duration { return lifetime(root, role) }

// LastThird is when the last third begins of the life of a signature of role that
// expires then: whoever has to be there in person to renew it is to do so now.
func LastThird(root *tuf.Root, role string, expires time.Time) time.Time {
	return expires.Add(-lifetime(root, role) / 3)
}

func isTopLevel(role string) bool { return slices.Contains(tuf.TopLevel, role) }

// sign adds the signatures of as many keys of a role as its threshold needs
// beside those that are there, and checks them as clients do. The error is a
// *ThresholdError if the keyring holds too few.
func sign[T tuf.Content](ctx context.Context, ring Keyring, name string, role tuf.Role, keys map[string]tuf.Key, f *tuf.File[T]) error {
	missing, err := signHeld(ctx, ring, name, role, keys, f)
	if err != nil {
		return err
	}
	good := f.SignedBy(role.KeyIDs, keys, true)
	switch have := int64(len(good)); {
	case have >= role.Threshold:
		return nil
	case len(missing) == 0:
		return fmt.Errorf("sign %s: %d of %d signatures are good", RoleToNotary(name), have, role.Threshold)
	}
	return &ThresholdError{Role: name, Have: len(good), Need: role.Threshold, Missing: missing}
}

// signHeld signs as far as the threshold needs and the keyring goes. It returns
// the IDs of the keys that it looked for in vain.
func signHeld[T tuf.Content](ctx context.Context, ring Keyring, name string, role tuf.Role, keys map[string]tuf.Key, f *tuf.File[T]) (missing []string, err error) {
	signed := f.SignedBy(role.KeyIDs, keys, true)
	for _, id := range role.KeyIDs {
		if int64(len(signed)) >= role.Threshold {
			break
		}
		if slices.Contains(signed, id) {
			continue
		}
		err := signWith(ctx, ring, name, id, f)
		switch {
		case errors.Is(err, ErrNoKey):
			missing = append(missing, id)
		case err != nil:
			return nil, fmt.Errorf("sign %s with key %s: %w", RoleToNotary(name), tuf.ShortID(id), err)
		default:
			signed = append(signed, id)
		}
	}
	return missing, nil
}

func signWith[T tuf.Content](ctx context.Context, ring Keyring, role, keyID string, f *tuf.File[T]) error {
	signer, err := ring.Signer(ctx, role, keyID)
	if err != nil {
		return err
	}
	sig, err := signer.SignMessage(bytes.NewReader(f.Payload()))
	if err != nil {
		return err
	}
	return f.AddSignature(keyID, sig)
}
