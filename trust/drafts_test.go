package trust_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// aDraft is one of a first root by a key that is not here.
func aDraft(t *testing.T, name string, life time.Duration) *repo.Draft {
	t.Helper()
	g := repo.Genesis{Collection: name, Keys: map[string][]tuf.Key{}, Lifetimes: repo.Lifetimes{tuf.RoleRoot: life}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{forge.Ring{}.Generate(t)}
	}
	d, err := repo.FirstDraft(t.Context(), g, forge.Ring{}, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDrafts(t *testing.T) {
	dir := trust.Open(t.TempDir())
	c := dir.Collection(collection)
	if err := c.KeepDraft(trust.Draft{Draft: aDraft(t, collection, time.Hour)}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a draft of a collection that is not there: %v", err)
	}
	created(t, dir)
	if all, err := c.Drafts(); len(all) != 0 || err != nil {
		t.Errorf("no drafts: %v, %v", all, err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	late := trust.Draft{Draft: aDraft(t, collection, time.Hour), Made: at.Add(time.Hour), Changes: []string{"1", "2"}, Inbox: "file:///inbox"}
	early := trust.Draft{Draft: aDraft(t, collection, 2*time.Hour), Made: at}
	if err := errors.Join(c.KeepDraft(late), c.KeepDraft(early), c.KeepDraft(late)); err != nil {
		t.Fatal(err)
	}
	all, err := trust.Open(dir.Path()).Collection(collection).Drafts()
	if err != nil || len(all) != 2 || all[0].ID() != early.ID() {
		t.Fatalf("%d drafts, %v", len(all), err)
	}
	got := all[1]
	if diff := cmp.Diff([]any{late.Made, late.Changes, late.Inbox, late.ID()}, []any{got.Made, got.Changes, got.Inbox, got.ID()}); diff != "" {
		t.Error(diff)
	}
	for role, data := range late.Files {
		if !bytes.Equal(got.Files[role], data) {
			t.Errorf("%s has other bytes", role)
		}
	}
	for range 2 {
		if err := c.DropDraft(late.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := c.Drafts(); err != nil || len(all) != 1 || all[0].ID() != early.ID() {
		t.Errorf("%d drafts after one was dropped, %v", len(all), err)
	}
	if err := c.DropDraft("../../settings"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a path in place of an ID: %v", err)
	}
}

// A draft that cannot be read may hold signatures of others: it is an error, and
// never nothing.
func TestDraftsDamaged(t *testing.T) {
	dir := trust.Open(t.TempDir())
	c := created(t, dir)
	d := trust.Draft{Draft: aDraft(t, collection, time.Hour)}
	if err := c.KeepDraft(d); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir.Path(), "collections", "example.com+scripts", "drafts", d.ID()+".json")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := aDraft(t, "example.com/other", time.Hour).Encode()
	if err != nil {
		t.Fatal(err)
	}
	another, err := aDraft(t, collection, time.Hour).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"null":               "null",
		"half":               string(good[:len(good)/2]),
		"no draft":           `{"made":"2026-11-22T12:00:00Z"}`,
		"more fields":        strings.Replace(string(good), `"made"`, `"sign":true,"made"`, 1),
		"another collection": `{"made":"2026-11-22T12:00:00Z","draft":` + string(theirs) + `}`,
		"another draft":      `{"made":"2026-11-22T12:00:00Z","draft":` + string(another) + `}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := c.Drafts(); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %d drafts, %v", name, len(all), err)
		}
	}
}
