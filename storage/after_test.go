package storage_test

import (
	"slices"
	"strings"
	"testing"

	"publisher/storage"
)

// TestListAfter: also below a prefix, where the keys have other names.
func TestListAfter(t *testing.T) {
	m := storage.NewMemory()
	for _, s := range []storage.Store{m, storage.Prefix(m, "x/y")} {
		for _, key := range []string{"a/1", "a/2", "a/3", "b/1"} {
			if _, err := s.Put(t.Context(), key, strings.NewReader(key), storage.Absent); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for e, err := range storage.ListAfter(t.Context(), s, "a/", "a/1") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Key)
		}
		if want := []string{"a/2", "a/3"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
