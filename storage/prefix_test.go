package storage

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type fullStore struct{ *Memory }

func (f fullStore) Batch() (Store, func(context.Context) error, func()) {
	return f, func(context.Context) error { return nil }, func() {}
}

func abilities(s Store) (list []string) {
	if _, ok := s.(Stater); ok {
		list = append(list, "stat")
	}
	if _, ok := s.(Deleter); ok {
		list = append(list, "delete")
	}
	if _, ok := s.(Batcher); ok {
		list = append(list, "batch")
	}
	return list
}

func TestPrefixShowsWhatTheStoreHas(t *testing.T) {
	f := fullStore{NewMemory()}
	for _, s := range []Store{
		f,
		struct {
			Store
			Stater
			Deleter
		}{f, f, f},
		struct {
			Store
			Stater
			Batcher
		}{f, f, f},
		struct {
			Store
			Deleter
			Batcher
		}{f, f, f},
		struct {
			Store
			Stater
		}{f, f},
		struct {
			Store
			Deleter
		}{f, f},
		struct {
			Store
			Batcher
		}{f, f},
		struct{ Store }{f},
	} {
		if diff := cmp.Diff(abilities(s), abilities(Prefix(s, "p"))); diff != "" {
			t.Errorf("abilities of the store (-) and of its prefix (+):\n%s", diff)
		}
	}
}

func TestPrefixPlacesKeys(t *testing.T) {
	m := NewMemory()
	if Prefix(m, "") != Store(m) || Prefix(m, "/") != Store(m) {
		t.Error("an empty prefix does not return the store itself")
	}
	for key, prefix := range map[string]string{"1": "a/b", "2": "a/b/", "3": "/a/b"} {
		if _, err := Prefix(m, prefix).Put(t.Context(), key, strings.NewReader(""), Absent); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for e, err := range m.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Key)
	}
	if diff := cmp.Diff([]string{"a/b/1", "a/b/2", "a/b/3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrefixCannotBeLeft(t *testing.T) {
	m := NewMemory()
	if _, err := m.Put(t.Context(), "secret", strings.NewReader("x"), Absent); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../secret", "", ".", "/secret", "a/../../secret"} {
		if _, err := Prefix(m, "a").Get(t.Context(), key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Get(%q) = %v, want fs.ErrInvalid", key, err)
		}
	}
}
