package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/trust"
)

func TestPending(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := d.Collection(collection)
	if err := c.SetPending(trust.Pending{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pending for a collection that is not there: %v", err)
	}
	if err := c.Create(trust.Settings{}, func(*trust.Cache) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pending(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is pending: %v", err)
	}
	if err := c.ClearPending(); err != nil {
		t.Errorf("forget nothing: %v", err)
	}
	want := trust.Pending{Name: "01JZ", Submission: "ab", Inbox: "file:///inbox", Changes: []string{"1", "2"}}
	if err := errors.Join(c.SetPending(trust.Pending{Name: "a", Submission: "b", Inbox: "c"}), c.SetPending(want)); err != nil {
		t.Fatal(err)
	}
	got, err := trust.Open(d.Path()).Collection(collection).Pending()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := c.ClearPending(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pending(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was forgotten: %v", err)
	}
}

// A file that cannot be read may stand for a submission: it is an error, and
// never nothing.
func TestPendingDamaged(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := d.Collection(collection)
	if err := c.Create(trust.Settings{}, func(*trust.Cache) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", "null", "{}", `{"name":"a","submission":"b"}`, `{"name":"a","submission":"b","inbox":"c","x":1}`} {
		if err := os.WriteFile(filepath.Join(d.Path(), "collections", "example.com+scripts", "pending.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pending(); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
