package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
	"publisher/storage"
)

func testListOrder(t *testing.T, s storage.Store) {
	checkList(t, s, "")
	checkList(t, s, "no/such/dir/")
	keys := []string{
		"A", "Z/z", "a b/x", "a!", "a+", "a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a/c.d", "a/cc/d", "a0", "aa/b", "b/a/a",
		"b/a-a", "b0", "é", "z", "ÿ/x", "日本", "🎁",
	}
	for _, key := range keys {
		put(t, s, key, key, storage.Absent)
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "a/c", "a/c/", "a b", "b/a", "ÿ", "日", "nothing", "a/b/", "/", "../"} {
		var below []string
		for _, key := range keys {
			if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
				below = append(below, key)
			}
		}
		checkList(t, s, prefix, below...)
	}
	seen := 0
	for range s.List(t.Context(), "") {
		if seen++; seen == 2 {
			break // a List that goes on after this panics
		}
	}
}

// testListMany lists more objects than one page of any store holds.
func testListMany(t *testing.T, s storage.Store) {
	var keys []string
	var g errgroup.Group
	g.SetLimit(16)
	for i := range 1100 {
		key := fmt.Sprintf("many/%d/%d", i%3, i)
		keys = append(keys, key)
		g.Go(func() error {
			_, err := s.Put(t.Context(), key, NewBody(int64(len(key))), storage.Absent)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	checkList(t, s, "many/", keys...)
	checkList(t, s, "", keys...)
	after, want := keys[len(keys)/2], keys[len(keys)/2+1:]
	var got []string
	for e, err := range storage.ListAfter(t.Context(), s, "many/", after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("after %s there are %d objects, want %d", after, len(got), len(want))
	}
}
