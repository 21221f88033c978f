package trust_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/trust"
)

func keyID(n int) string { return fmt.Sprintf("%064x", n) }

func keyFile(d *trust.Dir, id string) string { return filepath.Join(d.Path(), "private", id+".key") }

func TestKeys(t *testing.T) {
	d := trust.Open(filepath.Join(t.TempDir(), "trust"))
	k := d.Keys()
	if ids, err := k.List(); err != nil || len(ids) > 0 {
		t.Fatalf("in a missing directory: %v, %v", ids, err)
	}
	for _, n := range []int{2, 0xabc, 1} {
		if err := k.Add(keyID(n), []byte("key")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README", "0123.key", keyID(7) + ".pem", strings.ToUpper(keyID(0xabc)) + ".key", ".tmp-X.key"} {
		if err := os.WriteFile(filepath.Join(d.Path(), "private", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{keyID(1), keyID(2), keyID(0xabc)}
	ids, err := k.List()
	if diff := cmp.Diff(want, ids); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if err := k.Remove(keyID(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(keyID(2)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: got %v, want fs.ErrNotExist", err)
	}
	if data, err := k.Get(keyID(1)); string(data) != "key" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestAddKeyTwice(t *testing.T) {
	k := trust.Open(t.TempDir()).Keys()
	id := keyID(1)
	for range 2 {
		if err := k.Add(id, []byte("key")); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Add(id, []byte("another")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	if data, err := k.Get(id); string(data) != "key" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestMissingKey(t *testing.T) {
	d := trust.Open(filepath.Join(t.TempDir(), "trust"))
	k := d.Keys()
	_, getErr := k.Get(keyID(1))
	_, insecureErr := k.Insecure(keyID(1))
	for i, err := range []error{getErr, insecureErr, k.Replace(keyID(1), nil), k.Remove(keyID(1))} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: got %v, want fs.ErrNotExist", i, err)
		}
	}
	if _, err := os.Lstat(d.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the trust directory was made")
	}
}

func TestKeyIDNeverLeaves(t *testing.T) {
	outer := t.TempDir()
	k := trust.Open(filepath.Join(outer, "d")).Keys()
	for _, id := range []string{
		"", "..", "../x", "a/b", keyID(1)[1:], keyID(1) + "00", "../" + keyID(1)[3:], strings.ToUpper(keyID(0xabc)),
		strings.Repeat("g", 64),
	} {
		_, getErr := k.Get(id)
		_, insecureErr := k.Insecure(id)
		for i, err := range []error{getErr, insecureErr, k.Add(id, nil), k.Replace(id, nil), k.Remove(id)} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q, %d: got %v, want fs.ErrInvalid", id, i, err)
			}
		}
	}
	if found := tree(t, outer); len(found) != 1 {
		t.Errorf("something was written: %v", found)
	}
}

// TestReplaceKey reads all the while: there must be no moment without the key.
func TestReplaceKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced there: the writer gets an error")
	}
	k := trust.Open(t.TempDir()).Keys()
	forms := []string{strings.Repeat("a", 5000), strings.Repeat("b", 7000)}
	if err := k.Add(keyID(1), []byte(forms[0])); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			data, err := k.Get(keyID(1))
			if err != nil || string(data) != forms[0] && string(data) != forms[1] {
				t.Errorf("got %d bytes, %v", len(data), err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 50 {
		if err := k.Replace(keyID(1), []byte(forms[(i+1)%2])); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

// A key on a stick, linked from the trust directory, gets its new passphrase
// on the stick.
func TestReplaceLinkedKey(t *testing.T) {
	d := trust.Open(t.TempDir())
	k := d.Keys()
	if err := k.Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	stick := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(stick, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stick, keyFile(d, keyID(2))); err != nil {
		t.Skip(err)
	}
	if err := k.Replace(keyID(2), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(stick); string(data) != "new" || err != nil {
		t.Errorf("the file has %q, %v", data, err)
	}
	if data, err := k.Get(keyID(2)); string(data) != "new" || err != nil {
		t.Errorf("the key is %q, %v", data, err)
	}
}

func TestInsecureKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	d := trust.Open(t.TempDir())
	k := d.Keys()
	if err := k.Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o602: true} {
		if err := os.Chmod(keyFile(d, keyID(1)), mode); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Insecure(keyID(1)); got != want || err != nil {
			t.Errorf("%v: got %v, %v, want %v", mode, got, err, want)
		}
	}
}
