package repo_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
)

// TestLookup: a name leads to the role that a stock client finds it in, or to
// none.
func TestLookup(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("top", "top"))
	w.delegate("targets", "ci", "ci/*", "ci/*/*")
	w.delegate("ci", "ci.deep", "ci/deep/*")
	w.delegate("targets", "late", "ci/*", "late/*")
	w.mustPublish(
		in("ci", add("ci/x", "ci")), in("ci.deep", add("ci/deep/y", "deep")),
		in("late", add("ci/hidden", "hidden")), in("late", add("ci/x", "late")), in("late", add("late/z", "z")),
	)
	want := map[string]string{
		"top": "targets", "ci/x": "ci", "ci/deep/y": "ci.deep", "late/z": "late",
		"ci/hidden": "", // ci, which comes first, is terminating
		"ci/none":   "", "none": "", "late/": "", "": "",
	}
	got, listed := map[string]string{}, map[string]string{}
	v := w.view()
	for name := range want {
		target, err := v.Lookup(t.Context(), name)
		if err != nil && !errors.Is(err, repo.ErrNoTarget) {
			t.Errorf("%q: %v", name, err)
		}
		got[name] = target.Role
		if err == nil {
			listed[name] = target.Hashes["sha256"]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	names := []string{}
	for name := range want {
		names = append(names, name)
	}
	stock, err := (&stockClient{root: w.root}).pull(t.Context(), w.store, w.now, names)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range stock.Targets {
		stock.Targets[name] = sum(content)
	}
	if diff := cmp.Diff(stock.Targets, listed); diff != "" {
		t.Errorf("a stock client finds something else: %s", diff)
	}
}

// TestList: all roles, in the order in which clients ask them, or some of them.
func TestList(t *testing.T) {
	w := family(t)
	w.mustPublish(add("b", "1"), in("ci", add("ci/x", "1")), in("ci.deep", add("ci/deep/y", "1")))
	for _, tt := range []struct {
		roles []string
		want  []string
	}{
		{nil, []string{"b", "old", "ci/x", "ci/deep/y"}},
		{[]string{"ci"}, []string{"ci/x"}},
		{[]string{"ci.deep", "targets"}, []string{"ci/deep/y", "b", "old"}},
	} {
		all, err := w.view().List(t.Context(), tt.roles...)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, target := range all {
			got = append(got, target.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: %s", tt.roles, diff)
		}
	}
	if _, err := w.view().List(t.Context(), "nobody"); !errors.Is(err, repo.ErrNoRole) {
		t.Errorf("a role that is not there: %v", err)
	}
}
