// Package storagetest holds what tests of stores and of their users need: one
// suite for all drivers, and wrappers that count, break and watch requests.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"publisher/storage"
)

// A Suite tests every promise of the storage contract on one driver.
type Suite struct {
	// Open returns a new empty store.
	Open func(t *testing.T) storage.Store

	// InMemory says that the store itself lives in this process, so that its
	// use of memory says nothing.
	InMemory bool
}

// Run runs the suite on the stores that open returns; each must be empty.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	Suite{Open: open}.Run(t)
}

// Run runs the suite.
func (suite Suite) Run(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"Missing", testMissing},
		{"Keys", testKeys},
		{"InvalidKeys", testInvalidKeys},
		{"Create", testCreate},
		{"Replace", testReplace},
		{"Sizes", testSizes},
		{"Cap", testCap},
		{"Rewind", testRewind},
		{"Corrupt", testCorrupt},
		{"BodyFails", testBodyFails},
		{"Cancelled", testCancelled},
		{"ListOrder", testListOrder},
		{"ListMany", testListMany},
		{"Stat", testStat},
		{"Delete", testDelete},
		{"Batch", testBatch},
		{"BatchConflict", testBatchConflict},
		{"BatchCorrupt", testBatchCorrupt},
		{"RaceCreate", testRaceCreate},
		{"RaceReplace", testRaceReplace},
		{"ReadersSeeNoMix", testReadersSeeNoMix},
		{"Big", suite.testBig},
		{"BigCorrupt", testBigCorrupt},
		{"BigReplace", testBigReplace},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, suite.Open(t)) })
	}
}

func testMissing(t *testing.T, s storage.Store) {
	put(t, s, "dir/object", "x", storage.Absent)
	for _, key := range []string{"missing", "dir", "dir/missing", "dir/object/below", "no/such/dir"} {
		if _, err := s.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get(%q) = %v, want fs.ErrNotExist", key, err)
		}
		if st, ok := s.(storage.Stater); ok {
			if _, err := st.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat(%q) = %v, want fs.ErrNotExist", key, err)
			}
		}
	}
}

func testKeys(t *testing.T, s storage.Store) {
	keys := []string{
		"plain", "a/b/c/d/e/f/g/h", "with space", "two  spaces", "a+b", "pkg_1.2.3+deb12u1_amd64.deb",
		"a b+c d/e+f g", "grüße.txt", "日本語/ファイル", "emoji-🎁", "e\u0301 decomposed", "a&b", "k=v", "~tilde",
		"(parens)", "[brackets]", "{braces}", "semi;colon", "com,ma", "at@sign", "dollar$", "bang!", "star*",
		"quote'quote", `double"quote`, "col:on", "ca^ret", "back`tick", "pi|pe", "less<more>", "...", "a..b", ".hidden",
		"trailing.", "perc%20ent", "per%cent", "ha#sh", "que?stion", "%2F", "metadata/1.root.json",
		"long/" + strings.Repeat("0123456789abcdef", 15) + ".suffix",
		strings.Repeat(strings.Repeat("d", 99)+"/", 8) + "deep",
	}
	for _, key := range keys {
		v := put(t, s, key, "content of "+key, storage.Absent)
		want(t, s, key, "content of "+key, v)
	}
	for _, key := range keys { // none has become another
		if data, _ := read(t, s, key); data != "content of "+key {
			t.Errorf("%q holds %q", key, data)
		}
		checkList(t, s, key, key)
	}
}

func testInvalidKeys(t *testing.T, s storage.Store) {
	for _, key := range []string{
		"", ".", "..", "/abs", "a/", "a//b", "a/./b", "a/../b", "../up", "a/..", `a\b`, "nul\x00", "new\nline", "\x7f",
		"bad\xffutf8", strings.Repeat("k", 1025),
	} {
		errs := map[string]error{}
		_, errs["Get"] = s.Get(t.Context(), key)
		_, errs["Put"] = s.Put(t.Context(), key, strings.NewReader("x"), storage.Absent)
		if st, ok := s.(storage.Stater); ok {
			_, errs["Stat"] = st.Stat(t.Context(), key)
		}
		if d, ok := s.(storage.Deleter); ok {
			errs["Delete"] = d.Delete(t.Context(), key, "v")
		}
		for method, err := range errs {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s(%q) = %v, want fs.ErrInvalid", method, key, err)
			}
		}
	}
	checkList(t, s, "")
}

func testCreate(t *testing.T, s storage.Store) {
	v := put(t, s, "k", "first", storage.Absent)
	if v == storage.Absent {
		t.Error("Put returned the Version of an absent object")
	}
	wantConflict(t, s, "k", "second", storage.Absent)
	wantConflict(t, s, "k", "first", storage.Absent)
	want(t, s, "k", "first", v)
}

func testReplace(t *testing.T, s storage.Store) {
	v1 := put(t, s, "k", "one", storage.Absent)
	_, read1 := read(t, s, "k")
	v2 := put(t, s, "k", "two", read1)
	if v1 == v2 {
		t.Errorf("two contents have one Version, %q", v1)
	}
	want(t, s, "k", "two", v2)
	wantConflict(t, s, "k", "three", v1)
	want(t, s, "k", "two", v2)
	v3 := put(t, s, "k", "", v2)
	want(t, s, "k", "", v3)
	put(t, s, "k", "no longer empty", v3)

	wantConflict(t, s, "missing", "x", v2)
	wantConflict(t, s, "no/such/dir", "x", v2)
	checkList(t, s, "", "k")
}

func testSizes(t *testing.T, s storage.Store) {
	for _, size := range []int64{0, 1, 4095, 4096, 1 << 20, 5<<20 + 1} {
		for _, known := range []bool{false, true} {
			key := fmt.Sprintf("%d-%v", size, known)
			var body io.ReadSeeker = NewBody(size)
			if known {
				body = storage.WithSHA256(body, Sum(size), size)
			}
			if _, err := s.Put(t.Context(), key, body, storage.Absent); err != nil {
				t.Fatal(err)
			}
			wantBody(t, s, key, size)
		}
	}
}

func testCap(t *testing.T, s storage.Store) {
	put(t, s, "k", "12345678", storage.Absent)
	if _, _, err := storage.Read(t.Context(), s, "k", 7); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("reading 8 bytes with a cap of 7: %v, want ErrTooLarge", err)
	}
	if data, _, err := storage.Read(t.Context(), s, "k", 8); err != nil || string(data) != "12345678" {
		t.Errorf("reading 8 bytes with a cap of 8: %q, %v", data, err)
	}
}

func testRewind(t *testing.T, s storage.Store) {
	body := strings.NewReader("0123456789")
	if _, err := body.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", body, storage.Absent); err != nil {
		t.Fatal(err)
	}
	v, err := s.Put(t.Context(), "again", body, storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, "again", "0123456789", v)
	if data, _ := read(t, s, "k"); data != "0123456789" {
		t.Errorf("a body that was not at its start was stored as %q", data)
	}
}

// corruptions are bodies that are not what they announce.
func corruptions(size int64) map[string]storage.Hashed {
	sum := Sum(size)
	wrong := bytes.Clone(sum)
	wrong[0] ^= 1
	return map[string]storage.Hashed{
		"wrong sum": storage.WithSHA256(NewBody(size), wrong, size),
		"too long":  storage.WithSHA256(NewBody(size+1), sum, size),
		"too short": storage.WithSHA256(NewBody(size-1), sum, size),
	}
}

func testCorrupt(t *testing.T, s storage.Store) {
	v := put(t, s, "old", "old", storage.Absent)
	for _, size := range []int64{5, 3 << 20} {
		for name, body := range corruptions(size) {
			for key, prev := range map[string]storage.Version{"new": storage.Absent, "old": v} {
				if _, err := s.Put(t.Context(), key, body, prev); !errors.Is(err, storage.ErrCorrupt) {
					t.Errorf("%d bytes, %s, to the %s object: %v, want ErrCorrupt", size, name, key, err)
				}
			}
		}
	}
	checkList(t, s, "", "old")
	want(t, s, "old", "old", v)
}

func testBodyFails(t *testing.T, s storage.Store) {
	v := put(t, s, "old", "old", storage.Absent)
	for key, prev := range map[string]storage.Version{"new": storage.Absent, "old": v} {
		body := &failingBody{NewBody(1 << 20), 1 << 19}
		if _, err := s.Put(t.Context(), key, body, prev); !errors.Is(err, errBody) {
			t.Errorf("a body that fails, to the %s object: %v, want the body's error", key, err)
		}
	}
	checkList(t, s, "", "old")
	want(t, s, "old", "old", v)
}

func testCancelled(t *testing.T, s storage.Store) {
	v := put(t, s, "k", "x", storage.Absent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := map[string]error{}
	_, errs["Get"] = s.Get(ctx, "k")
	_, errs["Put"] = s.Put(ctx, "new", strings.NewReader("x"), storage.Absent)
	for _, err := range s.List(ctx, "") {
		errs["List"] = err
	}
	if st, ok := s.(storage.Stater); ok {
		_, errs["Stat"] = st.Stat(ctx, "k")
	}
	if d, ok := s.(storage.Deleter); ok {
		errs["Delete"] = d.Delete(ctx, "k", v)
	}
	for method, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", method, err)
		}
	}
	checkList(t, s, "", "k")
}

func testStat(t *testing.T, s storage.Store) {
	st, ok := s.(storage.Stater)
	if !ok {
		t.Skip("the store is no Stater")
	}
	for _, size := range []int64{0, 12345} {
		key := fmt.Sprint(size)
		body := storage.WithSHA256(NewBody(size), Sum(size), size)
		v, err := s.Put(t.Context(), key, body, storage.Absent)
		if err != nil {
			t.Fatal(err)
		}
		info, err := st.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != size || info.Version != v || info.Modified.IsZero() {
			t.Errorf("Stat = %+v, want %d bytes, Version %q and a time", info, size, v)
		}
		if info.SHA256 != nil && !bytes.Equal(info.SHA256, Sum(size)) {
			t.Errorf("Stat vouches for %x, content has %x", info.SHA256, Sum(size))
		}
		put(t, s, key, "replaced", info.Version)
	}
}

func testDelete(t *testing.T, s storage.Store) {
	d, ok := s.(storage.Deleter)
	if !ok {
		t.Skip("the store is no Deleter")
	}
	v1 := put(t, s, "dir/k", "one", storage.Absent)
	v2 := put(t, s, "dir/k", "two", v1)
	for _, stale := range []storage.Version{v1, storage.Absent} {
		if err := d.Delete(t.Context(), "dir/k", stale); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("Delete at Version %q = %v, want ErrConflict", stale, err)
		}
	}
	want(t, s, "dir/k", "two", v2)
	if err := d.Delete(t.Context(), "dir/k", v2); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"dir/k", "dir", "dir/missing"} {
		if err := d.Delete(t.Context(), key, v2); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Delete(%q) = %v, want fs.ErrNotExist", key, err)
		}
	}
	checkList(t, s, "")
	wantConflict(t, s, "dir/k", "x", v2)
	put(t, s, "dir/k", "again", storage.Absent)
}
