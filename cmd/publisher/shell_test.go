package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"file:///srv/a-b_c.d": "file:///srv/a-b_c.d", "/a b": "'/a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'",
		"": "''", "a\nb": `$'a\012b'`, "\x1b[2J'": `$'\033[2J\''`, "grün": "grün", "a\u00a0b": `$'a\302\240b'`, "\xff": `$'\377'`,
	} {
		if got := quoted(s); got != want {
			t.Errorf("quoted(%q) = %s, want %s", s, got, want)
		}
	}
}

// TestToType: what a hint says, a shell takes as it was meant.
func TestToType(t *testing.T) {
	names := []string{"a", "a b", "it's", `"`, "$(id)", "`id`", "a\nb", "a\\b", "#", "~", "*", "", "\x1b]0;x\x07", "ü\u200b", "a;b", "!x", "a=b", "\xff"}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	line := toType(`printf '<%s>'`, names...)
	if strings.ContainsAny(line, "\n\x1b") {
		t.Errorf("it is not one line of text: %q", line)
	}
	out, err := exec.CommandContext(t.Context(), shell, "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "<" + strings.Join(names, "><") + ">"; string(out) != want {
		t.Errorf("the shell took %q for %q", out, want)
	}
}

func TestToTypeDash(t *testing.T) {
	for want, args := range map[string][]string{
		"publisher add a -- -x -y": {"a", "-x", "-y"},
		"publisher add -- -x a -y": {"-x", "a", "-y"},
		"publisher add a b":        {"a", "b"},
	} {
		if got := toType("publisher add", args...); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
