package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

//go:generate go test -run ^TestDocs$ . -args -write-docs

var writeDocs = flag.Bool("write-docs", false, "write docs/cli and docs/man in place of comparing them")

// TestDocs compares the pages in docs with the commands. The generator is a
// test so that the program does not carry it.
func TestDocs(t *testing.T) {
	cli, man := generate(t)
	for dir, want := range map[string]map[string]string{"../../docs/cli": cli, "../../docs/man": man} {
		if *writeDocs {
			rewrite(t, dir, want)
		}
		if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
			t.Errorf("%s is stale, run make docs:\n%s", dir, diff)
		}
	}
}

// generate makes a page in Markdown and a man page for each command, by the
// names of their files.
func generate(t *testing.T) (cli, man map[string]string) {
	t.Helper()
	root := newRoot(newApp(os.Stdin, os.Stdout, os.Stderr))
	root.InitDefaultCompletionCmd()
	cli, man = map[string]string{}, map[string]string{}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.DisableAutoGenTag = true // it has a date, as man pages have: both are left out
		cmd.Long = strings.Replace(cmd.Long, exitCodesHelp, fenced(exitCodesHelp), 1)
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "_")
		var page, manual bytes.Buffer
		if err := doc.GenMarkdown(cmd, &page); err != nil {
			t.Fatal(err)
		}
		header := &doc.GenManHeader{Section: "1", Date: &time.Time{}, Source: "publisher", Manual: "publisher manual"}
		if err := doc.GenMan(cmd, header, &manual); err != nil {
			t.Fatal(err)
		}
		cli[name+".md"] = page.String()
		man[strings.ReplaceAll(name, "_", "-")+".1"] = strings.Replace(manual.String(), header.Date.Format("Jan 2006"), "", 1)
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				visit(child)
			}
		}
	}
	visit(root)
	return cli, man
}

// fenced keeps the lines of a table apart, below its title.
func fenced(table string) string {
	title, lines, _ := strings.Cut(table, "\n")
	return title + "\n\n```\n" + lines + "\n```"
}

func rewrite(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}
