package repo_test

import (
	"errors"
	"testing"

	"publisher/repo"
	"publisher/repo/tuf"
)

// TestDelegates: a delegation covers what its patterns or its hashes say, and one
// with hashes nothing else.
func TestDelegates(t *testing.T) {
	hash := sum("a") // of the name
	for name, row := range map[string]struct {
		d    tuf.DelegatedRole
		want bool
	}{
		"a pattern":           {tuf.DelegatedRole{Paths: []string{"b/*", "?"}}, true},
		"another pattern":     {tuf.DelegatedRole{Paths: []string{"b/*", "??"}}, false},
		"no pattern":          {tuf.DelegatedRole{Paths: []string{"[a"}}, false},
		"a hash":              {tuf.DelegatedRole{PathHashPrefixes: []string{"00", hash[:4]}}, true},
		"another hash":        {tuf.DelegatedRole{PathHashPrefixes: []string{"00"}}, false},
		"beside another hash": {tuf.DelegatedRole{PathHashPrefixes: []string{"00"}, Paths: []string{"a"}}, false},
	} {
		if got := repo.Delegates(&row.d, "a"); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDelegationNamed: a role is named below the one that delegates to it.
func TestDelegationNamed(t *testing.T) {
	if err := (repo.DelegationInfo{Parent: "ci", Role: "ci.deep"}).CheckName(); err != nil {
		t.Error(err)
	}
	if err := (repo.DelegationInfo{Parent: "targets", Role: "ci.deep"}).CheckName(); !errors.As(err, new(*repo.NameError)) {
		t.Error(err)
	}
}
