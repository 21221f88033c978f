package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/oklog/ulid/v2"

	"publisher/repo"
)

// unready is a staged change that cannot be published as it was staged.
type unready struct {
	Name    string `json:"name"`
	Source  string `json:"source,omitempty"`
	Problem string `json:"problem"`

	err error
}

func newUnready(c repo.Change, err error) unready {
	return unready{Name: c.Name, Source: c.Source, Problem: err.Error(), err: &repo.ChangeError{Change: c, Err: err}}
}

// changedSources is the staged changes whose files are gone, or are not what
// they were. Files that lie as they were staged are not read.
func changedSources(staged []repo.Change) []unready {
	var found []unready
	for _, c := range repo.Effective(staged) {
		if c.Source == "" {
			continue
		}
		if err := checkSource(c); err != nil {
			found = append(found, newUnready(c, err))
		}
	}
	return found
}

func checkSource(c repo.Change) error {
	info, err := os.Stat(c.Source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is gone: %w", c.Source, fs.ErrNotExist)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != c.Target.Length:
		return repo.ErrFileChanged
	case info.ModTime().Before(stagedAt(c)):
		return nil
	}
	body, err := openSource(c)
	if err != nil {
		return err
	}
	defer body.Close()
	return repo.CheckSource(c, body)
}

// stagedAt is when a change was staged, to the millisecond before it.
func stagedAt(c repo.Change) time.Time {
	id, err := ulid.ParseStrict(c.ID)
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(id.Time())
}

// warnUnready tells what cannot be published, and what to do about it.
func (a *app) warnUnready(collection string, found []unready) {
	for _, u := range found {
		again := "publisher reset " + collection + " -n NUMBER"
		if errors.Is(u.err, repo.ErrFileChanged) {
			again = toType("publisher add", collection, u.Name, u.Source)
		}
		a.warnf("%s; %s", oneLine(u.err.Error()), again)
	}
}
