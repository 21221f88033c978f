package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"path"
	"strings"

	"publisher/repo/tuf"
)

// delegationsOf yields a role's delegations in order of priority, succinct ones
// written out; TUF specification, section 4.5, and TAP 15.
func delegationsOf(t *tuf.Targets) iter.Seq[*tuf.DelegatedRole] {
	return func(yield func(*tuf.DelegatedRole) bool) {
		if t.Delegations == nil {
			return
		}
		for i := range t.Delegations.Roles {
			if !yield(&t.Delegations.Roles[i]) {
				return
			}
		}
		for d := range bins(t.Delegations.SuccinctRoles) {
			if !yield(d) {
				return
			}
		}
	}
}

// maxBits is the largest bit_length of succinct roles that is followed.
const maxBits = 14

// bins yields the roles that succinct roles stand for: each has the targets
// whose name's SHA-256 starts with its number.
func bins(s *tuf.SuccinctRoles) iter.Seq[*tuf.DelegatedRole] {
	return func(yield func(*tuf.DelegatedRole) bool) {
		if s == nil || s.BitLength < 1 || s.BitLength > maxBits {
			return
		}
		digits := (s.BitLength + 3) / 4
		for n := range uint32(1) << s.BitLength {
			d := &tuf.DelegatedRole{
				Name:   fmt.Sprintf("%s-%0*x", s.NamePrefix, digits, n),
				KeyIDs: s.KeyIDs, Threshold: s.Threshold, Terminating: true,
				PathHashPrefixes: binPrefixes(n, s.BitLength),
			}
			if !yield(d) {
				return
			}
		}
	}
}

// binPrefixes is every hexadecimal prefix whose first bits are n.
func binPrefixes(n uint32, bits int64) []string {
	digits := (bits + 3) / 4
	spare := digits*4 - bits
	prefixes := make([]string, 0, 1<<spare)
	for low := range uint32(1) << spare {
		prefixes = append(prefixes, fmt.Sprintf("%0*x", digits, n<<spare|low))
	}
	return prefixes
}

// Delegates reports whether a delegation covers a target's name.
func Delegates(d *tuf.DelegatedRole, name string) bool {
	if len(d.PathHashPrefixes) > 0 {
		sum := sha256.Sum256([]byte(name))
		hash := hex.EncodeToString(sum[:])
		for _, prefix := range d.PathHashPrefixes {
			if strings.HasPrefix(hash, prefix) {
				return true
			}
		}
		return false
	}
	for _, pattern := range d.Paths {
		if matchPath(pattern, name) {
			return true
		}
	}
	return false
}

// matchPath matches as TUF clients do: * and ? stay within a path element.
func matchPath(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // one that is malformed matches nothing
	return ok
}

// CheckPattern reports why a path pattern does not mean the same to every
// client.
func CheckPattern(pattern string) error {
	switch {
	case pattern == "":
		return fmt.Errorf("path pattern is empty")
	case strings.HasPrefix(pattern, "/"):
		return fmt.Errorf("path pattern %q starts with a slash", pattern)
	case strings.ContainsAny(pattern, `[]{}\`):
		return fmt.Errorf("path pattern %q: only * and ? mean the same to every client", pattern)
	case strings.Contains(pattern, "**"):
		return fmt.Errorf("path pattern %q: ** is not recursive for any client; write one pattern per depth", pattern)
	}
	return nil
}

// A DelegationInfo is a delegation as people are shown it.
type DelegationInfo struct {
	Role        string   `json:"role"`
	Parent      string   `json:"parent"` // the role that delegates to it
	Paths       []string `json:"paths"`
	KeyIDs      []string `json:"keyids"`
	Threshold   int64    `json:"threshold"`
	Terminating bool     `json:"terminating"`

	// Waiting says that its people have published nothing yet.
	Waiting bool `json:"waiting,omitzero"`
}

// CheckName fails with a *NameError if another role delegates to this one than
// its name says.
func (d DelegationInfo) CheckName() error { return checkNamed(d.Parent, d.Role) }

// Delegations is every delegation of the collection as it would be after these
// changes, in the order in which clients ask the roles.
func (v *View) Delegations(ctx context.Context, changes ...Change) ([]DelegationInfo, error) {
	p := v.newPlan()
	if _, err := p.applyAll(ctx, changes); err != nil {
		return nil, err
	}
	all := []DelegationInfo{}
	err := p.visitTree(ctx, func(n plannedRole) (bool, error) {
		if n.parent == "" {
			return false, nil
		}
		above, err := p.file(ctx, n.parent)
		if err != nil {
			return true, err
		}
		waiting, err := v.waiting(ctx, above, n.name)
		d := n.delegation()
		all = append(all, DelegationInfo{
			Role: n.name, Parent: n.parent, Paths: d.Paths, KeyIDs: peopleOf(above, d), Threshold: d.Threshold, Terminating: d.Terminating,
			Waiting: waiting,
		})
		return false, err
	})
	return all, err
}

// waiting reports whether a role's people have published nothing yet.
func (v *View) waiting(ctx context.Context, above *tuf.Targets, role string) (bool, error) {
	f, err := v.current(ctx, role)
	if f == nil || err != nil {
		return true, err
	}
	ids := above.Publisher.Initial[role]
	return len(f.SignedBy(ids, above.Delegations.Keys, false)) > 0, nil
}
