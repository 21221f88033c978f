package trust_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"publisher/trust"
)

func TestCache(t *testing.T) {
	m := created(t, trust.Open(t.TempDir())).Cache()
	names := []string{"root.json", "1.root.json", "timestamp.json", "releases.ci.json", "Releases %2F ü.json", "a..b"}
	for _, name := range names {
		for _, content := range []string{"first, the longer one", "second", ""} {
			if err := m.Put(name, []byte(content)); err != nil {
				t.Fatal(err)
			}
			if data, err := m.Get(name); err != nil || string(data) != content {
				t.Fatalf("%s: got %q, %v", name, data, err)
			}
		}
	}
}

func TestCacheNames(t *testing.T) {
	d := trust.Open(t.TempDir())
	m := created(t, d).Cache()
	before := tree(t, d.Path())
	for _, name := range []string{
		"", ".", "..", "../x", "../settings.json", "/etc/passwd", "a/b.json", `a\b.json`, `..\x`, ".hidden",
		".tmp-X", "a\x00b", "a\nb", "c:x.json", "a:stream",
	} {
		_, err := m.Get(name)
		_, replaceErr := m.Replace(name, nil, []byte("x"))
		for _, err := range []error{err, m.Put(name, []byte("x")), replaceErr} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: got %v, want fs.ErrInvalid", name, err)
			}
		}
	}
	if after := tree(t, d.Path()); len(after) != len(before) {
		t.Errorf("the directory changed: %v", after)
	}
}

func TestCachePutOfSameBytes(t *testing.T) {
	d := trust.Open(t.TempDir())
	m := created(t, d).Cache()
	name := file(d, "metadata/root.json")
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	put := func(content string) fs.FileInfo {
		if err := m.Put("root.json", []byte(content)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if !os.SameFile(before, put("root")) {
		t.Error("the same bytes were written again")
	}
	if os.SameFile(before, put("other")) {
		t.Error("the file was changed in place")
	}
}

func TestCacheReplace(t *testing.T) {
	m := created(t, trust.Open(t.TempDir())).Cache()
	for _, tt := range []struct {
		old, data string
		done      bool
		want      string
	}{
		{"what is not there", "1", false, ""},
		{"", "1", true, "1"},
		{"", "2", false, "1"},
		{"1", "2", true, "2"},
		{"1", "3", false, "2"},
	} {
		done, err := m.Replace("timestamp.json", []byte(tt.old), []byte(tt.data))
		if err != nil || done != tt.done {
			t.Errorf("%q by %q: %v, %v", tt.old, tt.data, done, err)
		}
		if got, err := m.Get("timestamp.json"); string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q by %q: %q is there, %v", tt.old, tt.data, got, err)
		}
	}
}

// TestCacheReplaceRace: of those who replace the same bytes one does.
func TestCacheReplaceRace(t *testing.T) {
	d := trust.Open(t.TempDir())
	created(t, d)
	var wg sync.WaitGroup
	var winners atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			done, err := d.Collection(collection).Cache().Replace("root.json", []byte("root"), fmt.Append(nil, i))
			if err != nil {
				t.Error(err)
			}
			if done {
				winners.Add(1)
			}
		})
	}
	wg.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("%d of 8 replaced the same file", n)
	}
}

func TestLeftoversAreSwept(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	if err := d.Keys().Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	for dir, write := range map[string]func() error{
		file(d, ""):                        func() error { return c.SetSettings(trust.Settings{Store: "new"}) },
		file(d, "metadata"):                func() error { return c.Cache().Put("root.json", []byte("new")) },
		filepath.Join(d.Path(), "private"): func() error { return d.Keys().Replace(keyID(1), []byte("new")) },
	} {
		leftover := filepath.Join(dir, ".tmp-ABCDEFG")
		if err := os.WriteFile(leftover, []byte("half a fi"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
		for path := range tree(t, dir) {
			if strings.Contains(path, ".tmp-") {
				t.Errorf("left behind: %s", path)
			}
		}
	}
}
