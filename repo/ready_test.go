package repo_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
)

// TestEffective: of several changes of a target the last one counts, by role; a
// delegation is no target.
func TestEffective(t *testing.T) {
	var got []string
	for _, c := range repo.Effective([]repo.Change{
		add("a", "1"), add("b", "1"), in("ci", add("a", "1")), add("a", "2"), remove("b"), add("c", "1"), remove("c"), add("c", "2"),
		{Action: repo.Add, Type: repo.TypeDelegation, Role: "ci"}, {Action: repo.Update, Type: repo.TypeWitness, Role: "targets"},
	}) {
		got = append(got, c.Role+" "+c.Name+" "+c.Source)
	}
	want := []string{"ci a content:1", "targets a content:2", "targets c content:2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestReady: what is in the way of publishing changes, by kind.
func TestReady(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("there", "1"))
	changed, absent, other := add("changed", "1"), add("absent", "1"), add("other", "1")
	changed.Source, absent.Source = "content:2", ""
	put(t, w.store, repo.TargetKey(collection, "other", sum("1")), []byte("longer"))
	found, err := w.publisher().Ready(t.Context(), []repo.Change{add("there", "1"), add("new", "1"), changed, absent, other})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]error{}
	for _, e := range found {
		got[e.Change.Name] = e.Err
	}
	if len(got) != 3 || !errors.Is(got["changed"], repo.ErrFileChanged) || !errors.Is(got["absent"], fs.ErrNotExist) || got["other"] == nil {
		t.Errorf("%v", got)
	}
}
