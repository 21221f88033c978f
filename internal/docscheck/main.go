// Command docscheck refuses a tree whose pages lead nowhere or say what only
// their author could use.
//
// In every *.md file each relative link must name a file of the tree, and its
// fragment a heading or an HTML anchor of that page. In *.md and *.go files it
// refuses work left for later, absolute paths of somebody's home folder, and
// trailing whitespace. It reads no network: links with a scheme are left alone.
//
// It prints one "file:line: problem" per finding and exits with 1 if there is
// any, with 2 if the tree cannot be read.
package main

import (
	"fmt"
	"os"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	problems, err := check(os.DirFS(root))
	if err != nil {
		fmt.Fprintf(os.Stderr, "docscheck: %v\n", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}
