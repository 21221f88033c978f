package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/trust"
)

// TestGCHints: each error of a run says what to type, the signer's own word before
// ours.
func TestGCHints(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, row := range []struct {
		err  error
		hint string
	}{
		{errors.New("the wire is cut"), "publisher gc a/b again goes on"},
		{fmt.Errorf("put: %w", fs.ErrPermission), "selfhost/policies/gc.json"},
		{&repo.ClockError{Here: now, There: now.Add(-time.Hour)}, "date -u"},
		{hinted(errors.New("busy"), "ask in a minute"), "ask in a minute"},
		{&repo.CutError{Known: 4 * day}, "publisher gc a/b --keep 3d"},
		{&repo.CutError{Known: 2*day + time.Second}, "publisher gc a/b --keep 2d:"},
		{&repo.CutError{Known: day}, "publisher gc a/b --keep 2d, after 2026-11-23T12:00:00Z"},
		{&repo.CutError{Known: -day}, "publisher gc a/b --keep 2d, after 2026-11-25T12:00:00Z"},
	} {
		g := &gc{app: &app{now: func() time.Time { return now }}, c: trust.Open(t.TempDir()).Collection("a/b")}
		if _, hint := diagnose(g.explain(row.err)); !strings.Contains(hint, row.hint) {
			t.Errorf("%v: the hint is %q, not %q", row.err, hint, row.hint)
		}
	}
}

// TestSameStore: two addresses are of one store if they differ in how it is
// reached alone.
func TestSameStore(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir
	}
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"s3://b/p?region=eu-central-1", "s3://b/p/?region=eu-west-1", true},
		{"s3://b/p", "s3://b/q", false},
		{"s3://b/p", "s3://c/p", false},
		{"s3://b/p", "minio://b/p", false},
		{"s3://b/p?endpoint=http://127.0.0.1:1", "s3://b/p?endpoint=http://127.0.0.1:2", false},
		{"minio://h:9000/b/p", "minio://h:9000/b/p/", true},
		{"minio://h:9000/b/p", "minio://h:9001/b/p", false},
		{"file:///nowhere/a", "file:///nowhere/a/", true},
		{"file:///nowhere/a", "file:///nowhere/b", false},
		{"file://" + dir, "file://" + dir + "/x/..", true},
		{"file:///", "s3://b", false},
	} {
		if got := sameStore(row.a, row.b); got != row.want {
			t.Errorf("%s and %s: %v", row.a, row.b, got)
		}
	}
}
