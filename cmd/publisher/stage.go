package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

// This file is what the verbs that stage changes have in common.

// maxCustom is the most custom data of a target, in bytes.
const maxCustom = 64 << 10

// stageOptions is the flags of every verb that stages changes.
type stageOptions struct {
	publish bool
}

func (o *stageOptions) add(f *pflag.FlagSet) {
	f.BoolVarP(&o.publish, "publish", "p", false, "publish everything that is staged, at once")
}

// customOptions is data to go with a target.
type customOptions struct {
	file string
	data string
}

func (o *customOptions) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.file, "custom", "", "`file` with JSON to go with the target")
	cmd.Flags().StringVar(&o.data, "custom-data", "", "`JSON` to go with the target")
	cmd.MarkFlagsMutuallyExclusive("custom", "custom-data")
}

// value reads and checks the custom data, nil for none.
func (o *customOptions) value(a *app) (jsontext.Value, error) {
	switch {
	case o.file != "":
		data, err := a.readAtMost(o.file, maxCustom)
		if err != nil {
			return nil, fmt.Errorf("read custom data: %w", err)
		}
		return checkCustom(data)
	case o.data != "":
		return checkCustom([]byte(o.data))
	}
	return nil, nil
}

func checkCustom(data []byte) (jsontext.Value, error) {
	if err := strict.CheckBelow(tuf.CustomDepth, data, maxCustom, strict.Any); err != nil {
		return nil, usage(`--custom-data '{"key":"value"}'`, "custom data: %w", err)
	}
	v := jsontext.Value(bytes.Clone(data))
	if err := repo.CheckCustom(v); err != nil {
		return nil, usage(`--custom-data '{"key":"value"}'`, "custom data: %w", err)
	}
	err := v.Compact()
	return v, err
}

// stage puts changes into the changelist, all or none, and publishes if asked.
func (a *app) stage(ctx context.Context, c *trust.Collection, o stageOptions, changes []repo.Change) error {
	if err := a.checkNames(c, changes); err != nil {
		return err
	}
	if err := a.checkStaging(ctx, c, changes); err != nil {
		return err
	}
	staged, err := c.Changelist().Append(changes...)
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	for _, change := range staged {
		if change.Type != repo.TypeTarget {
			continue
		}
		a.debugf("%s: %d bytes, sha256 %s", change.Name, change.Target.Length, change.Target.Hashes["sha256"])
	}
	if err := a.resultUnless(o.publish, staged); err != nil {
		return err
	}
	if o.publish {
		return a.publish(ctx, c, publishOptions{})
	}
	next, err := a.warnConsequences(ctx, c, staged)
	if err != nil {
		return err
	}
	a.infof("next: %s", next)
	return nil
}

// resultUnless prints what was staged, unless publish will print what was
// published.
func (a *app) resultUnless(publishes bool, staged []repo.Change) error {
	if publishes {
		return nil
	}
	return a.result(shownChanges(staged), func(w io.Writer) error {
		for _, change := range staged {
			if _, err := fmt.Fprintf(w, "staged %s\n", change); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkNames refuses two names that are one on some disks, among these changes
// and those staged before, and warns of names that some client cannot read.
func (a *app) checkNames(c *trust.Collection, changes []repo.Change) error {
	before, err := a.staged(c)
	if err != nil {
		return err
	}
	folded := map[string]string{}
	for i, change := range append(before, changes...) {
		if change.Type != repo.TypeTarget {
			continue
		}
		fold := change.Role + " " + repo.FoldTargetName(change.Name)
		if change.Action == repo.Remove {
			delete(folded, fold)
			continue
		}
		if other, ok := folded[fold]; ok && other != change.Name && i >= len(before) {
			return usage(fmt.Sprintf("use another NAME, or publisher reset %s -n NUMBER", c.Name()),
				"%w", &repo.ChangeError{Change: change, Err: fmt.Errorf("differs from %s only in case or Unicode composition", other)})
		}
		folded[fold] = change.Name
	}
	a.warnNames(changes)
	return nil
}

// maxNameWarnings is how many warnings show what is meant.
const maxNameWarnings = 5

func (a *app) warnNames(changes []repo.Change) {
	warned := 0
	for _, change := range changes {
		w := repo.TargetNameWarning(change.Name)
		if w == "" || change.Action != repo.Add || change.Type != repo.TypeTarget {
			continue
		}
		if warned++; warned > maxNameWarnings {
			return
		}
		a.warnf("%s", w)
	}
}

// staged is what waits for publish.
func (a *app) staged(c *trust.Collection) ([]repo.Change, error) {
	changes, err := c.Changelist().List()
	return changes, hinted(err, "publisher reset %s --all takes back everything that is staged", c.Name())
}

// stageFile hashes a file into a change. The file must be a regular one, and
// stay what it is meanwhile.
func stageFile(ctx context.Context, f *os.File, path, name string) (repo.Change, error) {
	if err := repo.CheckTargetName(name); err != nil {
		return repo.Change{}, usage("publisher add COLLECTION NAME FILE with another NAME", "%w", err)
	}
	before, err := f.Stat()
	if err != nil {
		return repo.Change{}, err
	}
	if !before.Mode().IsRegular() {
		return repo.Change{}, notRegular(path, before.Mode())
	}
	hash := sha256.New()
	body, err := storage.NewBodyReader(ctx, f)
	if err != nil {
		return repo.Change{}, fmt.Errorf("read %s: %w", path, err)
	}
	n, err := io.CopyBuffer(hash, body, make([]byte, min(before.Size()+1, 256<<10)))
	if err != nil {
		return repo.Change{}, fmt.Errorf("read %s: %w", path, err)
	}
	after, err := f.Stat()
	if err != nil {
		return repo.Change{}, err
	}
	if n != before.Size() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return repo.Change{}, hinted(fmt.Errorf("%s: the file changed while it was read", path), "wait until it is complete and add it again")
	}
	source, err := filepath.Abs(path)
	if err != nil {
		return repo.Change{}, err
	}
	return repo.Change{
		Action: repo.Add, Role: tuf.RoleTargets, Name: name, Source: source,
		Target: tuf.TargetFile{Length: n, Hashes: map[string]string{"sha256": hex.EncodeToString(hash.Sum(nil))}},
	}, nil
}

func notRegular(path string, mode fs.FileMode) error {
	if mode.IsDir() {
		return usage("publisher add COLLECTION -R "+quoted(path), "%s is a directory", path)
	}
	return usage("name a regular file", "%s is not a regular file", path)
}

// openFile opens a file to be staged. A FIFO would block for ever if it were
// opened before it is looked at.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, notRegular(path, info.Mode())
	}
	// Without O_NONBLOCK, which means nothing for a regular file, Go asks the
	// system four times whether it could wait for this one.
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// openSource opens the bytes of a staged target.
func openSource(c repo.Change) (repo.Body, error) {
	f, err := openFile(c.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is gone: %w", c.Source, fs.ErrNotExist)
	}
	return f, err
}
