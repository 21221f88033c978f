package repo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// TestSurvey: what is no part of the collection is told apart by name and age, and
// what somebody may publish still is not lost.
func TestSurvey(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "one"))
	base := w.now
	at := func(age time.Duration, key string) {
		t.Helper()
		w.now = base.Add(-age)
		if _, err := w.store.Put(t.Context(), key, strings.NewReader("x"), storage.Absent); err != nil {
			t.Fatal(err)
		}
		w.now = base
	}
	slot := func(n int64) string { return repo.SlotKey(collection, tuf.RoleTargets, n) }
	stray := func(name string) string { return repo.TargetKey(collection, name, sum(name)) }
	at(0, slot(10))
	at(time.Hour, slot(11))
	at(40*24*time.Hour, slot(12))
	at(time.Minute, stray("young"))
	at(2*time.Hour, stray("left"))
	at(2*time.Hour, stray("pending"))
	at(0, repo.TargetsDir(collection)+"/dir/plain")
	at(0, repo.MetadataDir(collection)+"/targets.json")
	at(0, repo.MetadataDir(collection)+"/1.timestamp.json")
	at(0, repo.MetadataDir(collection)+"/dir/3.targets.json")
	at(0, repo.ProbeKey(collection, "1"))
	at(time.Hour, repo.GarbageKey(collection))
	at(time.Hour, repo.SlotKey(collection, tuf.RoleRoot, 7))
	role, err := w.view().Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	draft := role.Signed
	draft.Targets = map[string]tuf.TargetFile{"pending": {Length: 7, Hashes: map[string]string{"sha256": sum("pending")}}}
	c := &repo.Collector{
		Store: w.store, Collection: collection, Cache: w.newCache(), Now: func() time.Time { return base }, Keep: repo.DefaultKeep, Told: true,
		Pending: func(context.Context) ([]map[string][]byte, error) {
			return []map[string][]byte{{tuf.RoleTargets: forge.Signed(t, w.ring, draft).Bytes()}}, nil
		},
	}
	found, err := c.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for name, all := range map[string]repo.Garbage{"lost": found.Lost, "old": found.Old, "strangers": found.Strangers} {
		for _, e := range all {
			got[name] = append(got[name], strings.TrimPrefix(e.Key, collection+"/"))
		}
	}
	want := map[string][]string{
		"lost":      {"metadata/11.targets.json", "metadata/12.targets.json", "targets/" + sum("left") + ".left"},
		"old":       {"metadata/12.targets.json"},
		"strangers": {"metadata/1.timestamp.json", "metadata/dir/3.targets.json", "metadata/targets.json", "targets/dir/plain"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
