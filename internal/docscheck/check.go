package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A problem is one finding, printed the way compilers print theirs.
type problem struct {
	file string
	line int
	text string
}

func (p problem) String() string {
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text)
}

// rules hold for every line of every page and Go file. The words of the second
// are split because it holds for this file too.
var rules = []struct {
	refused *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`[ \t\r]+$`), "trailing whitespace"},
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`), "work left for later: do it, or open an issue"},
	// Only what starts a path is absolute: "keys/root/x" is no home folder,
	// and of root's own home only what tools put there is told apart from a
	// role's name.
	{regexp.MustCompile(`(^|[^\w.~$}>/*)]|//)/((home|Users)/\w|root/(go/|\.))`), "absolute path of a home folder"},
}

// check returns every problem of the tree, sorted by file and line. The error
// is about reading the tree.
func check(fsys fs.FS) ([]problem, error) {
	var problems []problem
	pages := map[string]page{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md" && path.Ext(name) != ".go":
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		lines := strings.Split(string(data), "\n")
		problems = append(problems, checkLines(name, lines)...)
		if path.Ext(name) == ".md" {
			pages[name] = parse(lines)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, p := range pages {
		problems = append(problems, checkLinks(fsys, pages, name, p)...)
	}
	slices.SortFunc(problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text))
	})
	return problems, nil
}

// skipped reports whether a folder holds nothing written for this project's
// readers: what tools fetched or built, and inputs of tests.
func skipped(dir string) bool {
	switch path.Base(dir) {
	case ".git", "node_modules", "testdata":
		return true
	}
	return dir == "bin" || dir == "dist" || dir == ".cache"
}

func checkLines(name string, lines []string) []problem {
	var problems []problem
	for i, line := range lines {
		for _, r := range rules {
			if r.refused.MatchString(line) {
				problems = append(problems, problem{name, i + 1, r.text})
			}
		}
	}
	return problems
}

func checkLinks(fsys fs.FS, pages map[string]page, name string, p page) []problem {
	var problems []problem
	for _, l := range p.links {
		if text := resolve(fsys, pages, name, l.dest); text != "" {
			problems = append(problems, problem{name, l.line, fmt.Sprintf("link to %q: %s", l.dest, text)})
		}
	}
	for _, u := range p.uses {
		if !p.labels[u.dest] {
			problems = append(problems, problem{name, u.line, fmt.Sprintf("link to [%s], which the page does not define", u.dest)})
		}
	}
	return problems
}

// resolve says what is wrong with a link from a page, or nothing. A leading
// slash means the root of the tree, as it does where the project is hosted.
func resolve(fsys fs.FS, pages map[string]page, from, dest string) string {
	u, err := url.Parse(dest)
	if err != nil {
		return "not a URL"
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	target := from
	if strings.HasPrefix(u.Path, "/") {
		target = path.Join(".", u.Path)
	} else if u.Path != "" {
		target = path.Join(path.Dir(from), u.Path)
	}
	if !fs.ValidPath(target) {
		return "outside of the tree"
	}
	if _, err := fs.Stat(fsys, target); err != nil {
		return "no such file"
	}
	if u.Fragment != "" && !pages[target].anchors[u.Fragment] {
		return "no such heading"
	}
	return ""
}
