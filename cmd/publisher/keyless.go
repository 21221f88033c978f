package main

import (
	"errors"
	"fmt"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
)

// keyless adds what to do to the error of a publish for which no key is at hand:
// only those who ask for a draft get one then.
func (o *openDrafts) keyless(err error) error {
	var few *repo.ThresholdError
	if !errors.As(err, &few) || slices.Contains(onlineRoles, few.Role) {
		return err
	}
	name, role := o.c.Name(), repo.RoleToNotary(few.Role)
	others := fmt.Sprintf("publisher publish %s --export FILE, or --share, makes a draft for those who hold the keys of %s", name, role)
	for _, d := range o.drafts {
		if slices.Contains(d.Roles(), few.Role) {
			return hinted(fmt.Errorf("%w, and draft %s waits", err, shortID(d)), "publisher sign %s shows who has signed it; %s", name, others)
		}
	}
	stray, listErr := o.strayKeys(few)
	switch {
	case listErr != nil:
		return errors.Join(err, listErr)
	case len(stray) == 0:
		return hinted(err, "publisher key import FILE --role %s brings in a missing key; %s", role, others)
	}
	shows := "publisher delegation list " + name
	if slices.Contains(tuf.TopLevel, few.Role) {
		shows = "publisher root " + name
	}
	return hinted(fmt.Errorf("%w: it is not, or no longer, signed with %s, which is here", err, shortIDs(stray)), "%s shows them; %s", shows, others)
}

// strayKeys is the IDs of the keys here that are said to be for a role, and are
// not among those that it lacks.
func (o *openDrafts) strayKeys(few *repo.ThresholdError) ([]string, error) {
	held, err := o.app.heldKeys()
	var stray []string
	for _, k := range held {
		if k.Collection == o.c.Name() && k.Role == repo.RoleToNotary(few.Role) && !slices.Contains(few.Missing, k.ID) {
			stray = append(stray, k.ID)
		}
	}
	return stray, err
}
