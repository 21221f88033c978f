package main

import (
	"errors"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/trust"
)

// TestClockHint: whose clock is wrong is not told by an error, but that one is,
// is; and that is another thing than a root that has expired.
func TestClockHint(t *testing.T) {
	a, c := &app{}, trust.Open(t.TempDir()).Collection("a/b")
	for _, row := range []struct{ role, reason, hint string }{
		{"targets", "it expired at 2020-01-01T00:00:00Z", "date -u shows the clock of this machine: set it right, or that of the signer, then publisher publish a/b"},
		{"root", "it expires at 2030-01-01T00:00:00Z, more than 17520h0m0s from now", "date -u "},
		{"root", "it expired at 2020-01-01T00:00:00Z: clients take nothing until there is a new one", "publisher root a/b --renew"},
		{"targets", "its target x is not in the store", "publisher status a/b, then publisher reset a/b -n NUMBER"},
		{"releases", "targets/ci delegates to it, and by its name only targets may", "publisher delegation add a/b targets/ci/NAME: what targets/ci delegates"},
	} {
		err := a.explain(c, &repo.Rejection{Role: row.role, Reason: errors.New(row.reason)})
		if code, hint := diagnose(err); code != exitFailed || !strings.HasPrefix(hint, row.hint) {
			t.Errorf("%s: %s: exit code %d, hint %q", row.role, row.reason, code, hint)
		}
	}
}
