package repo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
)

func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("install.sh", "echo hello"), add("dir/empty", ""))
	if diff := cmp.Diff(map[string]string{"install.sh": sum("echo hello"), "dir/empty": sum("")}, w.targets()); diff != "" {
		t.Error(diff)
	}
	w.mustPublish(add("install.sh", "echo world"), remove("dir/empty"))
	if diff := cmp.Diff(map[string]string{"install.sh": sum("echo world")}, w.targets()); diff != "" {
		t.Error(diff)
	}
}

func TestPublishNothing(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	for _, changes := range [][]repo.Change{nil, {add("a", "1")}, {add("b", "2"), remove("b")}, {remove("c")}} {
		p := w.mustPublish(changes...)
		if p.Receipt != nil || !p.Plan.Empty() {
			t.Errorf("publish of %v did %+v", changes, p.Plan.Roles)
		}
	}
	if got := w.view().Timestamp.Signed.Version; got != 1 {
		t.Errorf("timestamp is at version %d", got)
	}
}
