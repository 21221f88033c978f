package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/internal/durable"
	"publisher/repo"
	"publisher/storage"
)

func newDownload(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "download COLLECTION NAME…",
		Short: "Download targets and verify them",
		Long: `Download targets from the store or any mirror (--url). Their length and hashes
are compared with the signed ones on the way: a file appears under its name, the
last element of the target's, only when all of it is right. A file that is there
already is replaced only after a question, or with --yes.`,
		Example: `  publisher download example.com/scripts install.sh
  publisher download example.com/scripts linux/app linux/app.sig -o bin/
  publisher download example.com/scripts install.sh -o - --url https://cdn.example.com`,
		GroupID:           groupRead,
		Args:              atLeast(2),
		ValidArgsFunction: a.completeTargets(math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.download(cmd.Context(), args[0], args[1:], out)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write `FILE`, or into an existing directory or DIR/; - is stdout")
	return cmd
}

func (a *app) download(ctx context.Context, collection string, names []string, out string) error {
	if a.flags.json && out == "-" {
		return usage("leave out --json, or -o FILE", "with -o - the content goes to stdout, and leaves no room for JSON")
	}
	destinations, err := destinations(names, out)
	if err != nil {
		return err
	}
	view, source, err := a.read(ctx, collection)
	if err != nil {
		return err
	}
	targets := make([]repo.Target, len(names))
	var total int64
	for i, name := range names {
		if targets[i], err = view.Lookup(ctx, name); err != nil {
			return err
		}
		total += targets[i].Length
	}
	replace, err := a.mayReplace(destinations)
	if err != nil {
		return err
	}
	if out != "" && out != "-" && isDirectory(out) {
		made := missingDirs(filepath.Clean(out))
		defer removeEmpty(made) // those that hold a target stay
		if err := durable.MkdirAll(filepath.Clean(out), 0o777); err != nil {
			return err
		}
	}
	advance, finish := a.progress("downloading", total)
	defer finish()
	d := &downloading{view, source, advance, a.now}
	done := make([]downloaded, len(targets))
	for i, target := range targets {
		if err := a.downloadOne(ctx, d, target, destinations[i], replace[i]); err != nil {
			return err
		}
		done[i] = downloaded{target.Name, destinations[i], target.Length, target.Hashes["sha256"]}
	}
	return a.result(done, func(io.Writer) error { return nil }) // the files say it
}

// downloaded is a target that is in a file now.
type downloaded struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Length int64  `json:"length"`
	SHA256 string `json:"sha256,omitempty"` // others' collections may do without
}

func (a *app) downloadOne(ctx context.Context, d *downloading, target repo.Target, destination string, replace bool) error {
	var output *output
	var err error
	if destination == "-" {
		output, err = a.toStdout()
	} else {
		output, err = toFile(destination, replace)
	}
	if err != nil {
		return err
	}
	defer output.discard()
	if err := d.fetch(ctx, output, target); err != nil {
		return fmt.Errorf("download %s: %w", printable(target.Name), err)
	}
	if err := output.keep(); err != nil {
		return err
	}
	a.debugf("%s: %d bytes, verified", destination, target.Length)
	return nil
}

// downloading is what the downloads of one command share.
type downloading struct {
	view    *repo.View
	source  storage.Getter
	advance func(int64)
	now     func() time.Time
}

// fetch copies the bytes of target from the source to w. They are not to be
// believed before it has returned.
func (d *downloading) fetch(ctx context.Context, w io.Writer, target repo.Target) error {
	key, err := d.view.Key(target)
	if err != nil {
		return err
	}
	obj, err := d.source.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		// It is signed for, so this is not a matter of a wrong name.
		return &repo.VerifyError{File: key, Err: err}
	}
	if err != nil {
		return err
	}
	defer obj.Body.Close()
	return copyTarget(ctx, io.MultiWriter(w, counter(d.advance)), storage.Brisk(obj.Body, d.now), target)
}

// counter is a Writer that only counts.
type counter func(int64)

func (c counter) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}

// destinations is where each target goes; out is the flag.
func destinations(names []string, out string) ([]string, error) {
	if out == "-" || out != "" && !isDirectory(out) {
		if len(names) > 1 {
			return nil, usage("-o DIR/ to write several targets", "%d targets cannot all be written to %s", len(names), out)
		}
		return []string{out}, nil
	}
	files := make([]string, len(names))
	taken := map[string]string{}
	for i, name := range names {
		base := path.Base(name)
		if !filepath.IsLocal(base) || base == "." || base != filepath.Base(base) || printable(base) != base {
			return nil, usage("-o FILE", "target %q gives no file name", name)
		}
		files[i] = filepath.Join(out, base)
		if other, ok := taken[files[i]]; ok {
			return nil, usage("one command for each, with -o FILE", "%s and %s would both be written to %s", other, name, files[i])
		}
		taken[files[i]] = name
	}
	return files, nil
}

// isDirectory reports whether the user means a directory.
func isDirectory(out string) bool {
	info, err := os.Stat(out)
	return err == nil && info.IsDir() || strings.HasSuffix(out, "/") || strings.HasSuffix(out, string(filepath.Separator))
}

// mayReplace asks about the files that are there already, and reports for each
// file whether it may be replaced.
func (a *app) mayReplace(files []string) ([]bool, error) {
	replace := make([]bool, len(files))
	for i, file := range files {
		refusal := checkDestination(file, false)
		if file == "-" || refusal == nil {
			continue
		}
		// What cannot be replaced at all is told before the question.
		if err := checkDestination(file, true); err != nil {
			return nil, err
		}
		yes, err := a.confirm("replace " + file + "?")
		if err != nil || !yes {
			return nil, errors.Join(refusal, err)
		}
		replace[i] = true
	}
	return replace, nil
}
