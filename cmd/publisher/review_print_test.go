package main

import (
	"bytes"
	"strings"
	"testing"

	"publisher/repo"
)

// TestReviewPrintsOther: a field without words is shown as it stands, in one
// line and of bounded length, whatever is in it.
func TestReviewPrintsOther(t *testing.T) {
	var out bytes.Buffer
	p := &reviewPrinter{app: &app{}, w: &out}
	fields := []repo.OtherField{{Field: "x-publisher.later", Is: "\"\x1b[2J\nsigned\""}, {Field: "long", Was: "1", Is: strings.Repeat("é", 1<<20)}}
	for range maxOther {
		fields = append(fields, repo.OtherField{Field: "more", Was: "1"})
	}
	p.other(fields)
	text := out.String()
	for _, want := range []string{`x-publisher.later: "\"\x1b[2J\nsigned\"", was not there`, "(2097152 bytes), was 1", "more: not there, was 1", "and 2 more fields"} {
		if !strings.Contains(text, want) {
			t.Errorf("not shown: %s", want)
		}
	}
	if len(text) > 3000 || strings.Count(text, "\n") != maxOther+2 || strings.ContainsRune(text, 0x1b) {
		t.Errorf("%d bytes, %d lines: %s", len(text), strings.Count(text, "\n"), text)
	}
}

// TestTrustTextPosition: a new delegation that goes before another is told as
// such.
func TestTrustTextPosition(t *testing.T) {
	yes := true
	d := repo.TrustChange{Role: "x", New: true, Before: "releases", PathsAdded: []string{"*"}, Terminating: &yes}
	want := "new role targets/x: path * added, terminating, before targets/releases"
	if got := trustText(d, func(id string) string { return id }); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
