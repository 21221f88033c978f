package repo

import (
	"context"
	"fmt"
	"strings"

	"publisher/repo/tuf"
)

// This file holds plans to the number of roles that clients ask for one name:
// three of them stop after 32 delegations, and what a role behind lists they do
// not find.

// checkVisits refuses a changed delegation with which some name leads to too
// many roles. It tries a name for each pattern of the delegations that changed,
// and of those below them; what it refuses is certain, what it lets pass nearly.
func (p *Plan) checkVisits(ctx context.Context) error {
	var all []plannedRole
	below := map[string][]plannedRole{}
	err := p.visitTree(ctx, func(n plannedRole) (bool, error) {
		if n.parent != "" {
			all = append(all, n)
			below[n.parent] = append(below[n.parent], n)
		}
		return false, nil
	})
	if err != nil || len(all) <= maxVisits {
		return err
	}
	for _, n := range all {
		if !p.editedAbove(n) {
			continue
		}
		for _, pattern := range n.delegation().Paths {
			name := sample(pattern)
			if v := (visits{below: below, name: name}); v.count(tuf.RoleTargets) > maxVisits {
				return p.blame(n, fmt.Errorf("a lookup of %s would ask more than %d delegated roles, and clients stop there", name, maxVisits))
			}
		}
	}
	return nil
}

// sample is a name that a pattern matches.
func sample(pattern string) string {
	return strings.NewReplacer("*", "x", "?", "x").Replace(pattern)
}

// visits counts the roles that a client asks for a name that none of them lists.
type visits struct {
	below map[string][]plannedRole
	name  string
	n     int
	done  bool // a terminating delegation was followed to its end
}

func (v *visits) count(role string) int {
	for _, child := range v.below[role] {
		d := child.delegation()
		if v.done || v.n > maxVisits {
			break
		}
		if !Delegates(d, v.name) {
			continue
		}
		v.n++
		v.count(child.name)
		v.done = v.done || d.Terminating
	}
	return v.n
}
