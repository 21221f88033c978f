package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// later is the refused word, in halves so that this file passes.
const later = "TO" + "DO"

func TestCheck(t *testing.T) {
	const guide = "# The *guide*\n\n## `init`, and [more](../README.md)\n\n## Twice\n\n## Twice\n\n<a id=\"here\"></a>\n"
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"links that resolve", "README.md",
			"[a](docs/guide.md) [b](/docs/guide.md) [c](docs) ![d](<docs/a%20b.svg>) [e](docs/guide.md \"title\")", nil},
		{"links elsewhere", "README.md", "[a](https://example.com/x#y) [b](mailto:a@example.com) [c](//example.com/x)", nil},
		{"a link up", "docs/x.md", "[a](../LICENSE)", nil},
		{"anchors that resolve", "README.md",
			"[a](docs/guide.md#the-guide) [b](docs/guide.md#init-and-more) [c](docs/guide.md#twice-1) [d](docs/guide.md#here)", nil},
		{"an anchor of the page", "README.md", "# Übersicht\n[a](#übersicht) [b](#%C3%BCbersicht)", nil},
		{"references", "README.md", "[a][Guide] and [b\nc][guide]\n\n[guide]: docs/guide.md\n", nil},
		{"code is no link", "README.md",
			"```sh\nx [a](gone) [b][c]\n# not a heading\n```\nand `[a](gone)`\n- ~~~\n  [a](gone)\n  ~~~\n", nil},

		{"a missing file", "README.md", "fine\n[a](gone.md)", []string{`README.md:2: link to "gone.md": no such file`}},
		{"a missing file from the root", "docs/x.md", "[a](/guide.md)", []string{`docs/x.md:1: link to "/guide.md": no such file`}},
		{"text that wraps", "README.md", "[a\nb](gone.md)", []string{`README.md:2: link to "gone.md": no such file`}},
		{"a missing image", "README.md", `<img src="gone.svg">`, []string{`README.md:1: link to "gone.svg": no such file`}},
		{"a file above", "README.md", "[a](../x)", []string{`README.md:1: link to "../x": outside of the tree`}},
		{"not a URL", "README.md", "[a](%zz)", []string{`README.md:1: link to "%zz": not a URL`}},
		{"a missing anchor", "README.md", "[a](docs/guide.md#gone)", []string{`README.md:1: link to "docs/guide.md#gone": no such heading`}},
		{"a heading in code", "README.md", "```\n# Code\n```\n[a](#code)", []string{`README.md:4: link to "#code": no such heading`}},
		{"a third of two", "README.md", "[a](docs/guide.md#twice-2)", []string{`README.md:1: link to "docs/guide.md#twice-2": no such heading`}},
		{"an anchor of no page", "README.md", "[a](LICENSE#x)", []string{`README.md:1: link to "LICENSE#x": no such heading`}},
		{"a missing definition", "README.md", "[a][Gone]", []string{`README.md:1: link to [gone], which the page does not define`}},
		{"a definition that leads nowhere", "README.md", "[a]\n\n[a]: gone", []string{`README.md:3: link to "gone": no such file`}},
		{"a link after code", "README.md", "````\n```\n````\n[a](gone)", []string{`README.md:4: link to "gone": no such file`}},

		{"work for later", "a.go", "package a\n// " + later + ": more", []string{"a.go:2: work left for later: do it, or open an issue"}},
		{"a word that holds it", "a.go", later + "S x" + later, nil},
		{"a home", "README.md", "see /home/" + "me/x", []string{"README.md:1: absolute path of a home folder"}},
		{"a home in a URL", "README.md", "file:///Users/" + "me", []string{"README.md:1: absolute path of a home folder"}},
		{"root's home", "a.go", `"/root/` + `.cache"`, []string{"a.go:1: absolute path of a home folder"}},
		{"roles are no homes", "a.go", `keys/root/1.json "/root/1.json" <dir>/home/x ~/home/y`, nil},
		{"trailing space", "README.md", "a \nb\t\nc\r\n", []string{
			"README.md:1: trailing whitespace", "README.md:2: trailing whitespace", "README.md:3: trailing whitespace"}},
		{"inputs of tests", "a/testdata/x.md", later + " [a](gone) ", nil},
		{"what tools made", "bin/x.md", later, nil},
		{"other files", "x.txt", later + " ", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{
				"LICENSE":       {},
				"docs/a b.svg":  {},
				"docs/guide.md": {Data: []byte(guide)},
				"README.md":     {},
			}
			fsys[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
			problems, err := check(fsys)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", strings.ReplaceAll(tt.text, "\n", `\n`), diff)
			}
		})
	}
}
