package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file is how people are told what a publish would do, or has done.

// printPlan tells it before: every target, and whose signatures are needed.
func (a *app) printPlan(w io.Writer, plan *repo.Plan) error {
	if plan.Empty() {
		_, err := fmt.Fprintln(w, "nothing to publish")
		return err
	}
	if plan.First {
		if _, err := fmt.Fprintln(w, "first publication: root 1"); err != nil {
			return err
		}
	}
	if err := printRoles(w, plan.Roles); err != nil {
		return err
	}
	for _, r := range plan.Roles {
		if err := a.printDetails(w, r); err != nil {
			return err
		}
	}
	return nil
}

// printDetails lists the targets of a role that change, and who must sign it.
func (a *app) printDetails(w io.Writer, r repo.RolePlan) error {
	lines := []string{}
	for _, list := range []struct {
		sign  string
		names []string
	}{{"+", r.Added}, {"~", r.Changed}, {"-", r.Removed}} {
		for _, name := range list.names {
			lines = append(lines, fmt.Sprintf("  %s %s", list.sign, name))
		}
	}
	if r.Role != tuf.RoleTargets || r.Threshold > 1 {
		lines = append(lines, fmt.Sprintf("%s needs %s", repo.RoleToNotary(r.Role), a.signatures(r)))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// signatures is whose signatures a role needs: "1 of the keys 1a2b… (here), 3c4d…".
func (a *app) signatures(r repo.RolePlan) string {
	ids := make([]string, len(r.KeyIDs))
	for i, id := range r.KeyIDs {
		ids[i] = tuf.ShortID(id)
		if a.holds(id) {
			ids[i] += " (here)"
		}
	}
	if len(ids) == 1 {
		return "the signature of key " + ids[0]
	}
	return fmt.Sprintf("%d of the keys %s", r.Threshold, strings.Join(ids, ", "))
}

// holds reports whether a private key is in the trust directory.
func (a *app) holds(id string) bool {
	_, err := a.trust.Keys().Get(id)
	return err == nil
}

// printRoles tells of every role what happens to it, a line for each delegation.
func printRoles(w io.Writer, roles []repo.RolePlan) error {
	for _, r := range roles {
		if _, err := fmt.Fprintf(w, "%s %s\n", repo.RoleToNotary(r.Role), roleChange(r)); err != nil {
			return err
		}
		for _, d := range r.Delegations {
			if _, err := fmt.Fprintf(w, "  %s\n", trustText(d, tuf.ShortID)); err != nil {
				return err
			}
		}
	}
	return nil
}

func roleChange(r repo.RolePlan) string {
	n := len(r.Added) + len(r.Changed) + len(r.Removed)
	switch {
	case r.From == 0 && n == 0 && r.Role != tuf.RoleTargets:
		return "starts empty"
	case n > 0 || r.From == 0:
		return fmt.Sprintf("from version %d: %d added, %d changed, %d removed", r.From, len(r.Added), len(r.Changed), len(r.Removed))
	case r.Resigned:
		return fmt.Sprintf("from version %d: signed again, by keys that stay", r.From)
	case r.Renewed:
		return fmt.Sprintf("from version %d: signed again", r.From)
	}
	return fmt.Sprintf("from version %d: %s", r.From, counted(len(r.Delegations), "changed delegation"))
}

// shownRoles is a plan with the roles called as people call them.
func shownRoles(plan []repo.RolePlan) []repo.RolePlan {
	shown := slices.Clone(plan)
	for i := range shown {
		shown[i].Role = repo.RoleToNotary(shown[i].Role)
		shown[i].Delegations = slices.Clone(shown[i].Delegations)
		for j := range shown[i].Delegations {
			shown[i].Delegations[j].Role = repo.RoleToNotary(shown[i].Delegations[j].Role)
		}
	}
	return shown
}

// shownChanges is staged changes with the roles called as people call them.
func shownChanges(changes []repo.Change) []repo.Change {
	shown := slices.Clone(changes)
	for i := range shown {
		shown[i].Role = repo.RoleToNotary(shown[i].Role)
	}
	return shown
}

// manyTargets is how many targets in one role every client reads at once.
const manyTargets = 1000

// warnPlan tells what works, and may not be meant, and what is left to others.
func (a *app) warnPlan(collection string, plan *repo.Plan) {
	for _, c := range plan.Skipped {
		a.warnf("%s was not there to be removed", inRole(c))
	}
	for _, r := range plan.Roles {
		if n := plan.Targets(r.Role); n > manyTargets {
			a.warnf("%s has %d targets: clients built on tuf-js need %s for more than %d; split it with: publisher delegation add %s %s KEY --paths PREFIX/",
				repo.RoleToNotary(r.Role), n, jsTime(n), manyTargets, collection, repo.RoleToNotary(childOf(r.Role)))
		}
		a.warnResigned(collection, r)
	}
	for _, left := range plan.Left {
		a.warnf("%s is due to be signed again, by who has %s", repo.RoleToNotary(left.Role), keyList(left.Missing))
	}
}

// childOf is the name that a delegation of a role may have.
func childOf(role string) string {
	if role == tuf.RoleTargets {
		return "NAME"
	}
	return role + ".NAME"
}

func keyList(ids []string) string {
	short := make([]string, len(ids))
	for i, id := range ids {
		short[i] = tuf.ShortID(id)
	}
	if len(ids) == 1 {
		return "key " + short[0]
	}
	return "one of the keys " + strings.Join(short, ", ")
}

// warnResigned tells of a role that loses a key which signed it, and that the
// keys here cannot sign again, what the ways out are.
func (a *app) warnResigned(collection string, r repo.RolePlan) {
	if !r.Resigned || int64(a.heldOf(r.KeyIDs)) >= r.Threshold {
		return
	}
	role := repo.RoleToNotary(r.Role)
	a.warnf("%s must be signed again, which needs %s: a draft for them comes of publisher publish %s", role, a.signatures(r), collection)
	a.infof("or sign it yourself: publisher delegation add %[1]s %[2]s CERT, of a key that is here; or do without the role: publisher delegation remove %[1]s %[2]s", collection, role)
}

func (a *app) heldOf(ids []string) int {
	n := 0
	for _, id := range ids {
		if a.holds(id) {
			n++
		}
	}
	return n
}

// completion tells how a delegation that cannot be published as it is becomes whole,
// or nothing for another error.
func completion(c *trust.Collection, e *repo.ChangeError) string {
	role := repo.RoleToNotary(e.Change.Role)
	outside, isOutside := errors.AsType[*repo.OutsideError](e)
	name, isName := errors.AsType[*repo.NameError](e)
	few, isFew := errors.AsType[*repo.TooFewKeysError](e)
	switch {
	case isName:
		return fmt.Sprintf("publisher delegation remove %s %s first: it takes the name from %s", c.Name(), role, repo.RoleToNotary(name.Parent))
	case isOutside:
		return fmt.Sprintf("publisher remove %s %s -r %s first, or leave it a path", c.Name(), outside.Target, repo.RoleToNotary(outside.Role))
	case isFew && few.Keys > 0 && e.Change.Type == repo.TypeDelegation:
		return fmt.Sprintf("publisher delegation add %s %s --threshold %d, or with the CERT of another key", c.Name(), role, few.Keys)
	case errors.Is(e, repo.ErrNoPaths):
		return fmt.Sprintf("publisher delegation add %s %s --paths PATHS, or --all-paths", c.Name(), role)
	case errors.Is(e, repo.ErrNoKeys):
		return fmt.Sprintf("publisher delegation add %[1]s %[2]s CERT; without any, publisher delegation remove %[1]s %[2]s", c.Name(), role)
	}
	return ""
}

// jsTime is how long tuf-js takes to read a role, roughly: it is quadratic.
func jsTime(targets int) string {
	seconds := 0.3 * float64(targets) * float64(targets) / (manyTargets * manyTargets)
	if seconds < 60 {
		return fmt.Sprintf("about %.0f seconds", max(1, seconds))
	}
	return fmt.Sprintf("about %.0f minutes", seconds/60)
}
