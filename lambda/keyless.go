package lambda

import (
	"context"
	"errors"

	"publisher/repo"
)

// This file is the answer to submissions of a collection that this signer has no
// keys for. Nothing is wrong with the submission.

const (
	keysMoved = "its keys are not this signer's any more: a newer root names others"
	keysLost  = "the signer does not hold enough of its keys"
)

// keyless is why an online role cannot be signed. Keys are never taken away from
// the private store by a rotation: where there are some, the root names others.
func (s *Signer) keyless(ctx context.Context, collection, role string) error {
	for _, err := range s.private.List(ctx, repo.OnlineKeysDir(collection, role)) {
		if err != nil {
			return err
		}
		return &repo.Rejection{Role: role, Reason: errors.New(keysMoved)}
	}
	return &repo.Rejection{Role: role, Reason: errors.New(keysLost)}
}
