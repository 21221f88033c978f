package doctor

import (
	"fmt"
	"testing"

	"publisher/repo"
	"publisher/repo/tuf"
)

// TestMostVisited: it counts whom a client asks for one name, and not how many
// there are.
func TestMostVisited(t *testing.T) {
	family := func(paths func(n int) string, terminating bool) *Patient {
		d := &tuf.Delegations{}
		targets := map[string]*tuf.File[tuf.Targets]{tuf.RoleTargets: {Signed: tuf.Targets{Delegations: d}}}
		for n := range 40 {
			name := fmt.Sprint("r", n)
			d.Roles = append(d.Roles, tuf.DelegatedRole{Name: name, Paths: []string{paths(n)}, Terminating: terminating})
			targets[name] = &tuf.File[tuf.Targets]{}
		}
		return &Patient{view: &repo.View{Targets: targets}}
	}
	for name, row := range map[string]struct {
		p    *Patient
		want int
	}{
		"paths of their own":   {family(func(n int) string { return fmt.Sprintf("r%d/*", n) }, false), 1},
		"the same paths":       {family(func(int) string { return "x/*" }, false), 40},
		"the first one has it": {family(func(int) string { return "*" }, true), 1},
	} {
		if got, of := row.p.mostVisited(); got != row.want {
			t.Errorf("%s: %d for %q, want %d", name, got, of, row.want)
		}
	}
}

func TestIsListing(t *testing.T) {
	for text, want := range map[string]bool{
		"<html>\n<head><title>Index of /</title></head>":                                      true,
		"<title>Directory listing for /</title>":                                              true,
		"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">":                               true,
		"<pre>\n<a href=\"metadata/\">metadata/</a>":                                          true,
		`<li><a href="./metadata/">metadata</a></li> <li><a href="./targets/">targets</a>`:    true,
		`[{ "name":"metadata", "type":"directory", "mtime":"Sun, 22 Nov 2026 12:00:00 GMT" }`: true,
		"<title>Updates of example.com</title><a href=\"example.com/scripts/\">scripts</a>":   false,
		"": false,
	} {
		if isListing(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
