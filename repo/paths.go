package repo

import (
	"slices"
	"strings"
)

// pathDepth is how many elements a target's name may have that "all paths", or
// all below a prefix, covers: clients have no pattern for any depth.
const pathDepth = 16

// AllPaths is the patterns that together cover every name of up to 16 elements.
func AllPaths() []string { return PathPatterns("") }

// PathPatterns is what a path of a delegation, as Notary's users write it, is to
// a TUF client. One with * or ? is such a pattern as it is. Any other is a
// prefix of names, down to 16 elements: as in Notary, "a" covers a, abc, and
// a/b, and only "a/" stops at the element's end.
func PathPatterns(path string) []string {
	if strings.ContainsAny(path, "*?") {
		return []string{path}
	}
	var patterns []string
	pattern := path + "*"
	for range max(1, pathDepth-strings.Count(path, "/")) {
		patterns = append(patterns, pattern)
		pattern += "/*"
	}
	return patterns
}

// withAlso is a list with those of more that it lacks.
func withAlso(list, more []string) []string {
	list = slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
