package main

import (
	"context"
	"slices"

	"publisher/repo"
)

// This file is the rotation of a delegation's keys. They stand in the file of the
// role above it, and no root has to do with them: the snapshot shows that file
// and the one that the new keys have signed at once.

// delegationDone reports whether the delegation has just the new keys.
func (r *rotation) delegationDone() bool {
	t := r.turns[0]
	return t.make == 0 && t.old.Threshold == t.threshold &&
		slices.Equal(slices.Sorted(slices.Values(t.old.KeyIDs)), slices.Sorted(slices.Values(idsOf(t.keys))))
}

// delegationSignatures is who signs: the role above with the keys in force, the
// delegation with its new ones.
func (r *rotation) delegationSignatures() []signingPlan {
	return []signingPlan{r.keysInForce(r.turns[0].parent, "", r.upper), r.newKeys(r.turns[0])}
}

// publishDelegation publishes the new keys, and nothing else that is staged.
func (r *rotation) publishDelegation(ctx context.Context, drafts *openDrafts, p *repo.Publisher) (*repo.Receipt, error) {
	t := r.turns[0]
	gone := slices.DeleteFunc(slices.Clone(t.old.KeyIDs), func(id string) bool { return slices.Contains(idsOf(t.keys), id) })
	change := repo.Change{
		Action: repo.Update, Type: repo.TypeDelegation, Role: r.role,
		Delegation: &repo.DelegationChange{Keys: t.keys, RemoveKeys: gone, Threshold: t.threshold},
	}
	done, err := r.app.publishChanges(ctx, drafts, p, []repo.Change{change}, r.o.draft)
	if err != nil {
		return nil, err
	}
	return done.Receipt, nil
}
