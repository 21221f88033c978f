package repo_test

import (
	"strings"
	"testing"

	"publisher/repo"
)

// TestTargetName: each name that some client could not read has words of its own.
func TestTargetName(t *testing.T) {
	for name, want := range map[string]string{
		"":                              "target name is empty",
		strings.Repeat("a", 513):        "target name of 513 bytes, at most 512",
		"a\xff":                         "is not UTF-8",
		"/a":                            "starts with a slash",
		"a ":                            "ends in a space",
		"a%":                            "has '%'",
		"a\x1f":                         `has '\x1f'`,
		"a\u0085":                       `has '\u0085'`,
		"a//b":                          `has the path element ""`,
		"a/./b":                         `has the path element "."`,
		"a/..":                          `has the path element ".."`,
		"a/" + strings.Repeat("b", 191): "has a path element of 191 bytes, at most 190",
	} {
		if err := repo.CheckTargetName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %s", name, err, want)
		}
	}
	for _, name := range []string{"a", "a/b c", ".a", "ä", strings.Repeat("a", 190)} {
		if err := repo.CheckTargetName(name); err != nil {
			t.Error(err)
		}
	}
}
