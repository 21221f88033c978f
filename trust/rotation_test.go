package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo/tuf"
	"publisher/trust"
)

func TestRotation(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := d.Collection(collection)
	if err := c.SetRotation(trust.Rotation{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a rotation of a collection that is not there: %v", err)
	}
	if err := c.Create(trust.Settings{}, func(*trust.Cache) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rotation(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none was begun: %v", err)
	}
	if err := c.ClearRotation(); err != nil {
		t.Errorf("forget none: %v", err)
	}
	key := tuf.Key{Type: tuf.TypeEd25519, Scheme: tuf.SchemeEd25519, Value: tuf.KeyValue{Public: "ab"}}
	want := trust.Rotation{Role: "root", After: 3, Online: "lambda:signer", Inbox: "file:///in", Made: []string{"ab"}, OldKeyLost: true, Recover: true, Certs: [][][]byte{{{1}, {2}}}, Roles: map[string]trust.NewTrust{"root": {Keys: []tuf.Key{key}, Threshold: 1}}}
	if err := c.SetRotation(want); err != nil {
		t.Fatal(err)
	}
	got, err := trust.Open(d.Path()).Collection(collection).Rotation()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, text := range []string{"", "{", "null", "{}", `{"role":"root"}`, `{"role":"root","roles":{"root":{}},"x":1}`} {
		if err := os.WriteFile(filepath.Join(d.Path(), "collections", "example.com+scripts", "rotation.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rotation(); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := c.ClearRotation(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rotation(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was forgotten: %v", err)
	}
}
