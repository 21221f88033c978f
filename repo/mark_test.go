package repo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/storage"
)

// TestMarkedTarget: a target that lies in the store is not published as long as a
// mark says that it is about to go, nor if nobody can tell what the mark says.
func TestMarkedTarget(t *testing.T) {
	for name, row := range map[string]struct{ mark, want string }{
		"it is marked":            {`{"collection":"` + collection + `","keys":["` + repo.TargetKey(collection, "new", sum("new")) + `"]}`, "is being removed by garbage collection"},
		"no mark":                 {"", ""},
		"another is":              {`{"collection":"` + collection + `","keys":["` + repo.TargetKey(collection, "old", sum("new")) + `"]}`, ""},
		"a mark that is none":     {"{", "read " + repo.GarbageKey(collection) + ": "},
		"keys are missing":        {`{"collection":"` + collection + `"}`, "read " + repo.GarbageKey(collection) + ": "},
		"another form":            {`{"collection":"` + collection + `","keys":[],"more":1}`, "read " + repo.GarbageKey(collection) + ": "},
		"another collection's is": {`{"collection":"elsewhere","keys":[]}`, `it is of the collection "elsewhere"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t, family(t))
			f.t = t
			sub := f.targetsOnly()
			f.now = f.now.Add(25 * time.Hour)
			if row.mark != "" {
				f.put(f.store, repo.GarbageKey(collection), row.mark)
			}
			_, err := f.committer().Commit(t.Context(), nil, sub)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%v, not %s", err, row.want)
			}
			if marked := errors.As(err, new(*repo.CollectedError)); marked != (name == "it is marked") {
				t.Errorf("the error is a %T", err)
			}
			if row.want == "" {
				return
			}
			if _, err := storage.Stat(t.Context(), f.store, repo.SlotKey(collection, "targets", 3)); err == nil {
				t.Error("something was written")
			}
		})
	}
}
