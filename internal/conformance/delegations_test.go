package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"publisher/repo/tuf"
)

// edge is a delegation; without paths it is one of everything.
type edge struct {
	parent, role string
	paths        []string
	terminating  bool
}

func (s *sim) graph(edges ...edge) {
	for _, e := range edges {
		if e.paths == nil {
			e.paths = []string{"*"}
		}
		s.delegate(e.parent, tuf.DelegatedRole{Name: e.role, Paths: e.paths, Terminating: e.terminating})
	}
	s.publish()
}

// visited is the delegated roles that the last run asked for, in order.
func (s *sim) visited() string {
	var roles []string
	for _, r := range s.requests {
		number, rest, _ := strings.Cut(r, ".")
		role, isJSON := strings.CutSuffix(rest, ".json")
		if isJSON && !slices.Contains(tuf.TopLevel, role) && number != "" && rest != "json" {
			roles = append(roles, role)
		}
	}
	return strings.Join(roles, " ")
}

// TestOrder: roles are asked depth first, in the order in which they stand; TUF
// specification, section 5.6.7.
func TestOrder(t *testing.T) {
	chain := []edge{{parent: "targets", role: "r1"}}
	for i := range 40 {
		chain = append(chain, edge{parent: fmt.Sprintf("r%d", i+1), role: fmt.Sprintf("r%d", i+2)})
	}
	var first []string
	for i := range 32 {
		first = append(first, fmt.Sprintf("r%d", i+1))
	}
	tests := []struct {
		name    string
		edges   []edge
		visited string
	}{
		{"none", nil, ""},
		{"one", []edge{{parent: "targets", role: "a"}}, "a"},
		{"two", []edge{{parent: "targets", role: "a"}, {parent: "targets", role: "b"}}, "a b"},
		{"nested, 3 deep", []edge{{parent: "targets", role: "a"}, {parent: "a", role: "b"}, {parent: "b", role: "c"}}, "a b c"},
		{"depth first", []edge{
			{parent: "targets", role: "a"}, {parent: "targets", role: "b"}, {parent: "a", role: "c"}, {parent: "b", role: "d"},
		}, "a c b d"},
		{"terminating", []edge{{parent: "targets", role: "a", terminating: true}, {parent: "targets", role: "b"}, {parent: "a", role: "c"}}, "a c"},
		{"terminating below", []edge{{parent: "targets", role: "a"}, {parent: "targets", role: "b"}, {parent: "a", role: "c", terminating: true}}, "a c"},
		{"terminating for other paths", []edge{
			{parent: "targets", role: "a", terminating: true, paths: []string{"other"}}, {parent: "targets", role: "b"},
		}, "b"},
		{"diamond", []edge{
			{parent: "targets", role: "a"}, {parent: "targets", role: "b"}, {parent: "a", role: "c"}, {parent: "b", role: "c"},
		}, "a c b"},
		{"cycle of two", []edge{{parent: "targets", role: "a"}, {parent: "a", role: "b"}, {parent: "b", role: "a"}}, "a b"},
		{"delegates to itself", []edge{{parent: "targets", role: "a"}, {parent: "a", role: "a"}}, "a"},
		{"terminating, to one seen already", []edge{
			{parent: "targets", role: "a"}, {parent: "a", role: "b"}, {parent: "b", role: "a", terminating: true}, {parent: "targets", role: "c"},
		}, "a b"},
		{"at most 32 roles", chain, strings.Join(first, " ")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, s *sim) {
				s.graph(tt.edges...)
				s.download("missing").fails("no such target")
				if got := s.visited(); got != tt.visited {
					t.Errorf("visited %q, want %q", got, tt.visited)
				}
			})
		})
	}
}

// TestPriority: the first role that has the target decides.
func TestPriority(t *testing.T) {
	edges := []edge{{parent: "targets", role: "a"}, {parent: "targets", role: "b"}, {parent: "a", role: "c"}}
	for _, tt := range []struct {
		listed []string
		want   string
	}{
		{[]string{"targets", "a", "b", "c"}, "targets"},
		{[]string{"a", "b", "c"}, "a"},
		{[]string{"b", "c"}, "c"},
		{[]string{"b"}, "b"},
	} {
		s := newSim(t)
		s.graph(edges...)
		for _, role := range tt.listed {
			s.add(role, "x", "content of "+role)
			s.contents["x"] = "content of " + tt.want
		}
		s.publish()
		s.download("x").succeeds()
		if want := hash("content of "+tt.want) + ".x"; !slices.Contains(s.requests, want) {
			t.Errorf("%q: requests %q", tt.listed, s.requests)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		paths string
		name  string
		match bool
	}{
		{"*", "a", true}, {"*", "a/b", false}, {"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"a/*", "a", false},
		{"*/*", "a/b", true}, {"a?", "ab", true}, {"a?", "a", false}, {"a?b", "a/b", false}, {"*.tgz", "x.tgz", true},
		{"*.tgz", "x.tar", false}, {"A", "a", false}, {"a", "a", true}, {"a/*.txt", "a/b.txt", true}, {"", "a", false},
		{"foo-version-?.tgz", "foo-version-a.tgz", true}, {"foo-version-?.tgz", "foo-version-alpha.tgz", false},
	} {
		s := newSim(t)
		s.graph(edge{parent: "targets", role: "r", paths: []string{"nothing", tt.paths}})
		s.add("r", tt.name, "content")
		if tt.match {
			s.download(tt.name).succeeds()
		} else {
			s.download(tt.name).fails("no such target")
		}
	}
}

func TestHashPrefixes(t *testing.T) {
	s := newSim(t)
	sum := hash("a/b")
	s.delegate("targets", tuf.DelegatedRole{Name: "other", PathHashPrefixes: []string{"zz", hash("c")[:4]}})
	s.delegate("targets", tuf.DelegatedRole{Name: "r", PathHashPrefixes: []string{"zz", sum[:3]}})
	s.add("r", "a/b", "content")
	s.publish()
	s.download("a/b").succeeds()
	if s.visited() != "r" {
		t.Errorf("visited %q", s.visited())
	}
}

func TestSuccinctRoles(t *testing.T) {
	for _, bits := range []int64{1, 3, 4, 8, 10} {
		t.Run(fmt.Sprint(bits, " bits"), func(t *testing.T) {
			s := newSim(t)
			key := newEd25519(t)
			d := s.delegations("targets")
			d.Keys[key.id] = key.key
			d.SuccinctRoles = &tuf.SuccinctRoles{KeyIDs: []string{key.id}, Threshold: 1, BitLength: bits, NamePrefix: "bin"}
			digits := (bits + 3) / 4
			for n := range 1 << bits {
				bin := &tuf.Targets{Targets: map[string]tuf.TargetFile{}}
				bin.Version, bin.Expires = 1, start.AddDate(0, 0, month)
				name := fmt.Sprintf("bin-%0*x", digits, n)
				s.targets[name], s.signers[name] = bin, []signer{key}
			}
			for _, target := range []string{"a", "dir/b", "c"} {
				var top uint64
				if _, err := fmt.Sscanf(hash(target)[:8], "%x", &top); err != nil {
					t.Fatal(err)
				}
				bin := fmt.Sprintf("bin-%0*x", digits, top>>(32-bits))
				s.add(bin, target, "content of "+target)
			}
			s.publish()
			for _, target := range []string{"a", "dir/b", "c"} {
				s.download(target).succeeds()
			}
			s.download("missing").fails("no such target")
		})
	}
}

// TestBadDelegations: a delegated role that cannot be trusted ends the search;
// it might have had the target.
func TestBadDelegations(t *testing.T) {
	for name, change := range map[string]func(s *sim){
		"not signed":          func(s *sim) { s.signers["r"] = nil },
		"signed by a sibling": func(s *sim) { s.signers["r"] = s.signers["other"] },
		"expired":             func(s *sim) { s.targets["r"].Expires = start.AddDate(0, 0, -1) },
		"missing":             func(s *sim) { s.spoil["1.r.json"] = func([]byte) []byte { return nil } },
		"not in the snapshot": func(s *sim) { delete(s.targets, "r"); delete(s.snapshot.Meta, "r.json") },
		"threshold 0": func(s *sim) {
			s.delegations("targets").Roles[0].Threshold = 0
			s.targets["targets"].Version++
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, s *sim) {
				s.delegate("targets", tuf.DelegatedRole{Name: "r", Paths: []string{"*"}})
				s.delegate("targets", tuf.DelegatedRole{Name: "other", Paths: []string{"*"}})
				s.add("other", "x", "content")
				change(s)
				s.publish()
				s.download("x").fails("")
				s.refresh().succeeds()
			})
		})
	}
}

// TestOddRoleNames: a role may be called anything. Its name is one element of
// the path of a URL and one of a file's.
func TestOddRoleNames(t *testing.T) {
	for _, role := range []string{"?", "#", "/delegatedrole", "../delegatedrole", "a b", "1.other", "%2F", ".", "ü"} {
		t.Run(role, func(t *testing.T) {
			s := newSim(t)
			s.graph(edge{parent: "targets", role: role})
			s.add(role, "x", "content")
			s.publish()
			s.download("x").succeeds()
			if want := "1." + url.PathEscape(role) + ".json"; !slices.Contains(s.requests, want) {
				t.Errorf("requests %q, want %s", s.requests, want)
			}
			s.download("x").succeeds()
		})
	}
}

// TestTopLevelNames: a delegation never takes the place of a top-level role,
// least of all in the cache, where trust starts.
func TestTopLevelNames(t *testing.T) {
	for role, message := range map[string]string{
		"root":      "one of them is called root",
		"1.root":    "one of them is called 1.root",
		"timestamp": "one of them is called timestamp",
		"snapshot":  "one of them is called snapshot",
		"targets":   "no such target: x", // a cycle
	} {
		t.Run(role, func(t *testing.T) {
			s := newSim(t)
			s.refresh().succeeds()
			d := s.delegations("targets")
			k := newEd25519(t)
			d.Keys[k.id] = k.key
			d.Roles = []tuf.DelegatedRole{{Name: role, KeyIDs: []string{k.id}, Threshold: 1, Paths: []string{"*"}}}
			s.snapshot.Meta[role+".json"] = tuf.MetaFile{Version: 1}
			s.targets["targets"].Version++
			s.publish()
			evil := &tuf.Targets{Targets: map[string]tuf.TargetFile{"x": {Hashes: map[string]string{"sha256": hash("x")}}}}
			evil.Version, evil.Expires = 1, start.AddDate(0, 0, month)
			s.spoil["1."+role+".json"] = func(good []byte) []byte {
				if role == tuf.RoleSnapshot {
					return good
				}
				return sealed(t, *evil, k)
			}
			s.download("x").fails(message)
			s.refresh().succeeds()
			s.trusts("root 1", "snapshot 2", "targets 2", "timestamp 2")
		})
	}
}

// TestTwoDelegators: that one delegator's keys have signed a role says nothing
// to another that names the same role with other keys.
func TestTwoDelegators(t *testing.T) {
	s := newSim(t)
	s.graph(edge{parent: "targets", role: "a", paths: []string{"a/*"}}, edge{parent: "targets", role: "b", paths: []string{"b/*"}},
		edge{parent: "a", role: "c", paths: []string{"a/*"}}, edge{parent: "b", role: "c", paths: []string{"b/*"}})
	other := newEd25519(t)
	d := s.delegations("b")
	d.Keys[other.id] = other.key
	d.Roles[0].KeyIDs = []string{other.id}
	s.add("c", "a/x", "content")
	s.add("c", "b/x", "content")
	s.publish()
	c := &client{metadataDir: s.dir + "/metadata", metadataURL: s.url + "/m", now: s.now.Unix()}
	view, err := c.refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Lookup(t.Context(), "a/x"); err != nil {
		t.Error(err)
	}
	if _, err := view.Lookup(t.Context(), "b/x"); err == nil || !strings.Contains(err.Error(), "c: 0 of 1 required signatures") {
		t.Errorf("got %v, want a missing signature", err)
	}
}

// TestListOrder: of two targets of one name, the one that clients get is listed
// first.
func TestListOrder(t *testing.T) {
	s := newSim(t)
	s.graph(edge{parent: "targets", role: "a"}, edge{parent: "targets", role: "b"}, edge{parent: "a", role: "c"})
	for _, role := range []string{"a", "b", "c", "targets"} {
		s.add(role, "x", "content of "+role)
	}
	s.publish()
	c := &client{metadataDir: s.dir + "/metadata", metadataURL: s.url + "/m", now: s.now.Unix()}
	view, err := c.refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	targets, err := view.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, target := range targets {
		roles = append(roles, target.Role)
	}
	if got := strings.Join(roles, " "); got != "targets a c b" {
		t.Errorf("listed %s", got)
	}
}
