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

// FoldPaths is patterns as people read them: what covers all depths below a
// prefix is one word.
func FoldPaths(paths []string) []string {
	var folded []string
	for len(paths) > 0 {
		prefix, isPrefix := strings.CutSuffix(paths[0], "*")
		family := PathPatterns(prefix)
		switch {
		case !isPrefix || strings.ContainsAny(prefix, "*?") || len(family) > len(paths) || !slices.Equal(family, paths[:len(family)]):
			folded, paths = append(folded, paths[0]), paths[1:]
		case prefix == "":
			folded, paths = append(folded, "<all paths>"), paths[len(family):]
		default:
			folded, paths = append(folded, prefix+"…"), paths[len(family):]
		}
	}
	return folded
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
