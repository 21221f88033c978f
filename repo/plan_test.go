package repo_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"publisher/repo"
	"publisher/repo/tuf"
)

// TestPlanRefused: a change that cannot be applied stops the publish before
// anything is written, and is named.
func TestPlanRefused(t *testing.T) {
	base := family(t)
	base.mustPublish(add("cafe\u0301", "1"))
	hashed := func(c repo.Change, hashes map[string]string) repo.Change {
		c.Target.Hashes = hashes
		return c
	}
	custom := func(c repo.Change, text string) repo.Change {
		c.Target.Custom = []byte(text)
		return c
	}
	for _, tt := range []struct {
		name   string
		change repo.Change
		want   string
	}{
		{"a bad name", add("../x", "1"), "has the path element \"..\""},
		{"no sha256", hashed(add("x", "1"), nil), "not sha256 alone"},
		{"a sha512 too", hashed(add("x", "1"), map[string]string{"sha256": sum("1"), "sha512": "00"}), "not sha256 alone"},
		{"custom null", custom(add("x", "1"), "null"), "custom is null"},
		{"outside the role's paths", in("ci", add("x", "1")), "it lies outside the paths of targets/ci: ci/*, ci/*/*"},
		{"outside the paths above the role", in("ci.deep", add("x", "1")), "it lies outside the paths of targets/ci: ci/*, ci/*/*"},
		{"another case", add("OLD", "1"), "differs from another target only in case"},
		{"another composition", add("caf\u00c9", "1"), "differs from another target only in case or Unicode composition"},
		{"a role that is not there", in("nobody", add("x", "1")), "no such role: targets/nobody"},
		{"a removal from a role that is not there", in("nobody", remove("x")), "no such role: targets/nobody"},
		{"an online role", in("snapshot", add("x", "1")), "no such role: snapshot"},
		{"an unknown action", repo.Change{Action: "x", Role: tuf.RoleTargets, Name: "x"}, `unknown action "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tampering(t, base)
			before := objects(t, w.raw)
			_, err := w.publish(add("good", "1"), tt.change)
			var c *repo.ChangeError
			if !errors.As(err, &c) || c.Change.Name != tt.change.Name || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v (%T), want a ChangeError of %q with %q", err, err, tt.change.Name, tt.want)
			}
			if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// TestPlan: a plan tells what would change, and changes nothing.
func TestPlan(t *testing.T) {
	w := family(t)
	w.mustPublish(add("b", "1"), add("c", "1"), in("ci", add("ci/x", "1")), in("ci.deep", add("ci/deep/x", "1")))
	before := objects(t, w.store)
	for _, tt := range []struct {
		name    string
		changes []repo.Change
		want    []repo.RolePlan
		skipped int
	}{
		{"nothing", nil, nil, 0},
		{"all kinds", []repo.Change{add("a", "1"), add("b", "2"), remove("c"), remove("d")}, []repo.RolePlan{
			{Role: "targets", From: 3, Added: []string{"a"}, Changed: []string{"b"}, Removed: []string{"c"}},
		}, 1},
		{"two roles", []repo.Change{add("a", "1"), in("ci", remove("ci/x"))}, []repo.RolePlan{
			{Role: "ci", From: 3, Removed: []string{"ci/x"}},
			{Role: "targets", From: 3, Added: []string{"a"}},
		}, 0},
		{"the last change counts", []repo.Change{add("a", "1"), remove("a"), remove("b"), add("b", "1"), add("c", "1"), add("c", "2")}, []repo.RolePlan{
			{Role: "targets", From: 3, Changed: []string{"c"}},
		}, 0},
		{"another case in place of the old one", []repo.Change{remove("b"), add("B", "1")}, []repo.RolePlan{
			{Role: "targets", From: 3, Added: []string{"B"}, Removed: []string{"b"}},
		}, 0},
	} {
		plan, err := w.publisher().Plan(t.Context(), tt.changes)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, plan.Roles, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(repo.RolePlan{}, "KeyIDs", "Threshold")); diff != "" || len(plan.Skipped) != tt.skipped {
			t.Errorf("%s: %d skipped, %s", tt.name, len(plan.Skipped), diff)
		}
		if plan.Empty() != (len(tt.want) == 0) {
			t.Errorf("%s: Empty is %v", tt.name, plan.Empty())
		}
	}
	if diff := cmp.Diff(before, objects(t, w.store)); diff != "" {
		t.Error(diff)
	}
}

// TestPlanCustom: custom data is a change by what it says, not by how it is
// written, and what others put beside it survives.
func TestPlanCustom(t *testing.T) {
	w := newWorld(t)
	custom := func(text string) repo.Change {
		c := add("x", "1")
		if text != "" {
			c.Target.Custom = []byte(text)
		}
		return c
	}
	for _, tt := range []struct {
		custom  string
		changes bool
	}{
		{`{"a":1,"b":[2]}`, true},
		{`{ "b": [2], "a": 1 }`, false},
		{`{"a":2,"b":[2]}`, true},
		{"", true},
		{"", false},
		{"{}", true},
	} {
		p := w.mustPublish(custom(tt.custom))
		if got := p.Receipt != nil; got != tt.changes {
			t.Errorf("custom %q: published is %v", tt.custom, got)
		}
	}
	f := newForge(t, family(t))
	f.At("targets", "targets", "new")["theirs"] = object{"kept": true}
	f.At("targets")["theirs"] = "kept"
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	f.mustPublish(add("new", "another"), add("y", "1"))
	top, err := f.view().Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(top.Signed.Targets["new"].Unknown) + string(top.Signed.Unknown); got != `{"theirs":{"kept":true}}{"theirs":"kept"}` {
		t.Errorf("unknown fields are %s", got)
	}
}

// TestPublishMissingKeys: who lacks a key is told which, and nothing is written
// of the metadata.
func TestPublishMissingKeys(t *testing.T) {
	base := newWorld(t)
	base.mustPublish(add("old", "1"))
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		w := tampering(t, base)
		id := w.view().Root().Signed.Roles[role].KeyIDs[0]
		before := objects(t, w.raw)
		w.ring = maps.Clone(w.ring)
		delete(w.ring, id)
		_, err := w.publish(remove("old"))
		var short *repo.ThresholdError
		if !errors.As(err, &short) {
			t.Fatalf("%s: %v", role, err)
		}
		if diff := cmp.Diff(&repo.ThresholdError{Role: role, Need: 1, Missing: []string{id}}, short); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestPublishChangedFile: a file that is not what was staged is not published.
func TestPublishChangedFile(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	before := objects(t, w.store)
	for _, content := range []string{"2", "11", ""} {
		c := add("x", "1")
		c.Source = "content:" + content
		_, err := w.publish(c)
		var failed *repo.ChangeError
		if !errors.Is(err, repo.ErrFileChanged) || !errors.As(err, &failed) || failed.Change.Name != "x" {
			t.Errorf("content %q: %v", content, err)
		}
	}
	if diff := cmp.Diff(before, objects(t, w.store)); diff != "" {
		t.Error(diff)
	}
}
