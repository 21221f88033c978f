package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
)

// A Signer is the way to the online signer of a collection.
type Signer struct {
	// Keys asks it for the public keys that it has for the collection, by role, which
	// changes nothing. The error is an fs.ErrPermission for those who may not ask, and
	// a *SignerError if it has answered that it cannot.
	Keys func(context.Context) (map[string]tuf.Key, error)

	Look string // what shows whether it runs, to type
}

// A SignerError is what a signer has answered that could not do what it was asked.
type SignerError struct {
	Err  error
	Hint string // of what to do, may be empty
}

func (e *SignerError) Error() string { return e.Err.Error() }

// Unwrap returns what the signer has said.
func (e *SignerError) Unwrap() error { return e.Err }

func needsSigner(p *Patient) string {
	if p.Signer == nil {
		return noSigner
	}
	return ""
}

const whyAnswers = "nothing is published, and the timestamp expires"

// signerAnswers: somebody signs the snapshot and the timestamp, with the keys that
// the root names.
func signerAnswers(ctx context.Context, p *Patient, f *findings) error {
	limit := p.firstAnswer()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	keys, err := p.Signer.Keys(limited)
	said, answered := errors.AsType[*SignerError](err)
	switch {
	case err == nil:
		p.compareKeys(f, keys)
	case errors.Is(err, fs.ErrPermission), ctx.Err() != nil:
		return err
	case answered:
		do := "look at its log"
		if said.Hint != "" {
			do = said.Hint + "; or else " + do
		}
		f.add(Error, fmt.Sprintf("the online signer cannot use its keys: %v", err), whyAnswers, do+", and run the same command again")
	case limited.Err() != nil:
		f.add(Error, fmt.Sprintf("the online signer does not answer within %v", limit), whyAnswers, p.Signer.Look)
	default:
		f.add(Error, fmt.Sprintf("the online signer does not answer: %v", err), whyAnswers, p.Signer.Look)
	}
	return nil
}

// compareKeys compares what the signer has with what the root names.
func (p *Patient) compareKeys(f *findings, keys map[string]tuf.Key) {
	if p.view == nil {
		return
	}
	root := p.view.Root().Signed
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		if !slices.Contains(root.Roles[role].KeyIDs, keys[role].ID()) {
			f.add(Error, fmt.Sprintf("the online signer has no key that root %d names for %s", root.Version, role), whyAnswers,
				"restore its keys from a backup of the inbox, or give it new ones: publisher key rotate "+p.Collection+" "+repo.RoleToNotary(role)+" -r")
		}
	}
}

// firstAnswer is how long something may take that others do at once.
func (p *Patient) firstAnswer() time.Duration { return p.limit(0) / 2 }
