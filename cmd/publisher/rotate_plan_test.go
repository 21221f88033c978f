package main

import (
	"strings"
	"testing"
)

// TestTurnPlanElsewhere: of a key that somebody else has it is not said that it
// is here.
func TestTurnPlanElsewhere(t *testing.T) {
	p := turnPlan{Role: "targets", Old: []string{"mine", "theirs"}, From: "here", New: []string{"new"}, Threshold: 1}
	text := strings.Join(p.lines("ed25519", func(id string) bool { return id == "mine" }), "\n")
	for _, want := range []string{"key mine, here, goes", "key theirs, elsewhere, goes"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}
