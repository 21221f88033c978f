package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"publisher/internal/parallel"
	"publisher/repo"
	"publisher/repo/strict"
)

type addOptions struct {
	stageOptions
	roleOptions
	custom    customOptions
	recursive []string
	prefix    string
	manifest  string
}

func newAdd(a *app) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:     "add COLLECTION (NAME FILE | -R DIR | --from-manifest FILE)",
		Short:   "Stage files to be published as targets",
		GroupID: groupPublish,
		Long: `Stage files to be published as targets, in place of targets of the same name.

The files are hashed now and uploaded by "publisher publish", which refuses one
that has changed meanwhile. A manifest has one JSON object per line:

  {"name": "tools/install.sh", "file": "dist/install.sh", "custom": {"os": "linux"}}

with files relative to the manifest's directory. In place of a file it may have
"length" and "sha256" of an object that is in the store already.`,
		Example: `  publisher add example.com/scripts install.sh ./install.sh
  publisher add example.com/scripts -R dist --prefix v1.2.0 --publish
  publisher add example.com/scripts --from-manifest targets.jsonl
  publisher add example.com/scripts releases/app.tar.gz app.tar.gz -r targets/releases`,
		Args: between(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return runAdd(cmd.Context(), a, args, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.recursive, "recursive", "R", nil, "add every file below this `directory`, may be repeated")
	f.StringVar(&o.prefix, "prefix", "", "with -R: `path` before the names of the targets")
	f.StringVar(&o.manifest, "from-manifest", "", "add what this `file` lists, - for standard input")
	o.custom.add(cmd)
	o.roleOptions.add(a, cmd, "add to")
	o.stageOptions.add(f)
	cmd.MarkFlagsMutuallyExclusive("recursive", "from-manifest")
	return cmd
}

// check refuses combinations that mean nothing.
func (o *addOptions) check(args []string) error {
	many := len(o.recursive) > 0 || o.manifest != ""
	switch {
	case many && len(args) > 1:
		return usage("publisher add COLLECTION -R DIR", "NAME and FILE do not go with -R or --from-manifest")
	case !many && len(args) != 3:
		return usage("publisher add COLLECTION NAME FILE", "a NAME and a FILE are needed")
	case o.prefix != "" && len(o.recursive) == 0:
		return usage("publisher add COLLECTION -R DIR --prefix PATH", "--prefix goes with -R")
	case o.manifest != "" && (o.custom.file != "" || o.custom.data != ""):
		return usage(`put "custom" into the lines of the manifest`, "--custom and --custom-data do not go with --from-manifest")
	}
	return nil
}

func runAdd(ctx context.Context, a *app, args []string, o addOptions) error {
	c, _, err := a.known(args[0])
	if err != nil {
		return err
	}
	custom, err := o.custom.value(a)
	if err != nil {
		return err
	}
	var files []candidate
	switch {
	case len(o.recursive) > 0:
		files, err = a.walkAll(o.recursive, o.prefix)
	case o.manifest != "":
		files, err = a.readManifest(o.manifest)
	default:
		files = []candidate{{Name: args[1], File: args[2], open: func() (*os.File, error) { return openFile(args[2]) }}}
		err = a.apart(args[2])
	}
	if err != nil {
		return err
	}
	changes, err := a.hashFiles(ctx, files)
	if err != nil {
		return err
	}
	if custom != nil {
		for i := range changes {
			changes[i].Target.Custom = custom
		}
	}
	if changes, err = o.inRoles(changes); err != nil {
		return err
	}
	return a.stage(ctx, c, o.stageOptions, changes)
}

// A candidate is one target to be staged: a line of a manifest, or what stands
// for one.
type candidate struct {
	Name   string         `json:"name"`
	File   string         `json:"file,omitempty"`
	Length int64          `json:"length,omitempty"`
	SHA256 string         `json:"sha256,omitempty"`
	Custom jsontext.Value `json:"custom,omitzero"`

	size int64 // of the file, for the progress bar
	open func() (*os.File, error)
}

// walkAll lists every file below several directories.
func (a *app) walkAll(dirs []string, prefix string) ([]candidate, error) {
	var all []candidate
	for _, dir := range dirs {
		files, err := a.walkFiles(dir, prefix)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// walkFiles lists every file below dir. Symbolic links may lead to files inside
// of it, not out of it.
func (a *app) walkFiles(dir, prefix string) ([]candidate, error) {
	if err := a.apart(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	var files []candidate
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info() // as the directory was read; it costs nothing
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			info, err = root.Stat(name)
		}
		if err != nil {
			return hinted(fmt.Errorf("%s: %w", filepath.Join(dir, name), err), "links may only lead to files inside of %s", quoted(dir))
		}
		if !info.Mode().IsRegular() {
			return notRegular(filepath.Join(dir, name), info.Mode())
		}
		files = append(files, candidate{
			Name: path.Join(prefix, name), File: filepath.Join(dir, filepath.FromSlash(name)), size: info.Size(),
			open: func() (*os.File, error) { return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) },
		})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = usage("name another directory", "%s has no files", dir)
	}
	return files, err
}

// maxManifest is the most of a manifest that is read, in bytes.
const maxManifest = 256 << 20

// readManifest reads one candidate per line.
func (a *app) readManifest(name string) ([]candidate, error) {
	data, err := a.readAtMost(name, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	dir := "."
	if name != "-" {
		dir = filepath.Dir(name)
	}
	var files []candidate
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxCustom*2)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		c, err := parseLine(lines.Bytes(), dir)
		if err != nil {
			return nil, usage(`one JSON object per line: {"name": "a/b", "file": "path"}`, "%s, line %d: %w", name, n, err)
		}
		if c.File != "" {
			if err := a.apart(c.File); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
			}
		}
		files = append(files, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", name, err)
	}
	if len(files) == 0 {
		return nil, usage(`one JSON object per line: {"name": "a/b", "file": "path"}`, "%s lists no files", name)
	}
	return files, nil
}

var manifestLine = strict.Object(strict.Fields{
	"name": strict.String, "file": strict.String, "length": strict.Int, "sha256": strict.String, "custom": strict.Any,
}, "name")

func parseLine(line []byte, dir string) (candidate, error) {
	var c candidate
	if err := strict.Check(line, maxCustom*2, manifestLine); err != nil {
		return c, err
	}
	if err := json.Unmarshal(line, &c, json.RejectUnknownMembers(true)); err != nil {
		return c, err
	}
	if (c.File == "") == (c.SHA256 == "") {
		return c, errors.New(`either "file" or "length" and "sha256" are needed`)
	}
	if c.Custom != nil {
		var err error
		if c.Custom, err = checkCustom(c.Custom); err != nil {
			return c, err
		}
	}
	if c.File == "" {
		return c, nil
	}
	if !filepath.IsAbs(c.File) {
		c.File = filepath.Join(dir, c.File)
	}
	c.open = func() (*os.File, error) { return openFile(c.File) }
	if info, err := os.Stat(c.File); err == nil {
		c.size = info.Size()
	}
	return c, nil
}

// hashFiles turns candidates into changes, several at once.
func (a *app) hashFiles(ctx context.Context, files []candidate) ([]repo.Change, error) {
	if i := firstDuplicate(files); i >= 0 {
		return nil, usage("give each target once", "target %q is listed twice", files[i].Name)
	}
	var total int64
	for _, f := range files {
		total += f.size
	}
	advance, finish := a.progress("hashing", total)
	defer finish()
	changes := make([]repo.Change, len(files))
	return changes, parallel.Each(ctx, runtime.NumCPU(), len(files), func(ctx context.Context, i int) (err error) {
		changes[i], err = files[i].change(ctx)
		advance(files[i].size)
		return err
	})
}

func firstDuplicate(files []candidate) int {
	seen := make(map[string]bool, len(files))
	return slices.IndexFunc(files, func(f candidate) bool {
		twice := seen[f.Name]
		seen[f.Name] = true
		return twice
	})
}

func (c candidate) change(ctx context.Context) (repo.Change, error) {
	if c.open == nil {
		change, err := hashChange(c.Name, c.Length, strings.ToLower(c.SHA256))
		change.Target.Custom = c.Custom
		return change, err
	}
	f, err := c.open()
	if err != nil {
		return repo.Change{}, err
	}
	defer f.Close()
	change, err := stageFile(ctx, f, c.File, c.Name)
	change.Target.Custom = c.Custom
	return change, err
}
