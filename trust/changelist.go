package trust

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"publisher/internal/durable"
	"publisher/repo"
)

// A Changelist is the changes that wait for publish, in the order in which they
// were staged. Each Append is one line of the file, so that a line's end shows
// that all of it was written.
type Changelist struct{ c *Collection }

// Changelist returns the collection's changelist.
func (c *Collection) Changelist() *Changelist { return &Changelist{c} }

// Append stages changes after those that wait already, all of them or, after an
// error or a crash, none, and returns them with the IDs they got.
func (l *Changelist) Append(changes ...repo.Change) ([]repo.Change, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	staged, err := withIDs(changes, time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	line, err := encode(staged)
	if err != nil {
		return nil, fmt.Errorf("stage changes: %w", err)
	}
	err = l.change(func() error { return appendLine(l.file(), line) })
	if err != nil {
		return nil, fmt.Errorf("stage changes: %w", err)
	}
	return staged, nil
}

// List returns the staged changes. A line that cannot be read is an error that
// tells file and line; an incomplete last line was never acknowledged, and is
// none.
func (l *Changelist) List() ([]repo.Change, error) {
	if err := l.c.check(); err != nil {
		return nil, err
	}
	batches, err := l.batches()
	return slices.Concat(batches...), err
}

// Remove takes changes away; those staged meanwhile stay. IDs that are not
// there do no harm.
func (l *Changelist) Remove(ids ...string) error {
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	return l.change(func() error {
		batches, err := l.batches()
		if err != nil {
			return err
		}
		data, removed, err := without(batches, gone)
		if err != nil || !removed {
			return err
		}
		return durable.WriteFile(l.file(), data, fileMode)
	})
}

// Clear takes all changes away, also those that cannot be read.
func (l *Changelist) Clear() error {
	return l.change(func() error {
		return durable.WriteFile(l.file(), nil, fileMode)
	})
}

func (l *Changelist) file() string { return l.c.file(changelistFile) }

func (l *Changelist) change(f func() error) error { return l.c.change(l.c.dir, f) }

// batches reads the file, each line by itself.
func (l *Changelist) batches() ([][]repo.Change, error) {
	data, err := os.ReadFile(l.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var batches [][]repo.Change
	for line := range bytes.Lines(data[:completeEnd(data)]) {
		batch, err := decode(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: unreadable staged change: %w", l.file(), len(batches)+1, err)
		}
		batches = append(batches, batch)
	}
	return batches, nil
}

// completeEnd is the length of the lines that are complete.
func completeEnd(data []byte) int { return bytes.LastIndexByte(data, '\n') + 1 }

// without encodes the batches less the changes that are to go.
func without(batches [][]repo.Change, gone map[string]bool) (data []byte, removed bool, err error) {
	for _, batch := range batches {
		rest := slices.DeleteFunc(batch, func(c repo.Change) bool {
			removed = removed || gone[c.ID]
			return gone[c.ID]
		})
		if len(rest) == 0 {
			continue
		}
		line, err := encode(rest)
		if err != nil {
			return nil, false, err
		}
		data = append(data, line...)
	}
	return data, removed, nil
}

// encode is one line of the file.
func encode(batch []repo.Change) ([]byte, error) {
	for _, c := range batch {
		if err := check(c); err != nil {
			return nil, err
		}
	}
	line, err := json.Marshal(batch)
	return append(line, '\n'), err
}

// decode reads one line. Members that this version does not know it refuses:
// they might change what the change means.
func decode(line []byte) ([]repo.Change, error) {
	var batch []repo.Change
	if err := json.Unmarshal(line, &batch, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, errors.New("no change")
	}
	for _, c := range batch {
		if err := check(c); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

func check(c repo.Change) error {
	switch {
	case c.ID == "":
		return fmt.Errorf("%s: a change without an ID", c)
	case !slices.Contains(actions[c.Type], c.Action):
		return fmt.Errorf("a change of %s %q with action %q", c.Type, cmp.Or(c.Name, c.Role), c.Action)
	}
	return nil
}

// actions is what there is to do with each type of change.
var actions = map[repo.ChangeType][]repo.Action{
	repo.TypeTarget:     {repo.Add, repo.Remove},
	repo.TypeDelegation: {repo.Add, repo.Update, repo.Remove},
	repo.TypeWitness:    {repo.Update},
}

// withIDs returns a copy of the changes with IDs that sort as they do.
func withIDs(changes []repo.Change, now time.Time, entropy io.Reader) ([]repo.Change, error) {
	staged := slices.Clone(changes)
	ordered := ulid.Monotonic(entropy, 0)
	for i := range staged {
		id, err := ulid.New(ulid.Timestamp(now), ordered)
		if err != nil {
			return nil, fmt.Errorf("make a change ID: %w", err)
		}
		staged[i].ID = id.String()
	}
	return staged, nil
}

// appendLine adds a line to a file of complete lines. If the last one is not,
// the file is replaced: who reads it now must not see half of the old line and
// half of the new one.
func appendLine(name string, line []byte) error {
	whole, end, err := endsWhole(name)
	if err != nil {
		return err
	}
	if whole {
		return extend(name, end, line)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return durable.WriteFile(name, append(data[:completeEnd(data)], line...), fileMode)
}

// endsWhole reports whether the file, which may be missing, ends with a
// complete line, and its length.
func endsWhole(name string) (whole bool, end int64, err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return true, 0, err
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return last[0] == '\n', info.Size(), err
}

func extend(name string, end int64, line []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(line, end); err == nil {
		err = f.Sync()
	}
	if err == nil && end == 0 {
		err = durable.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		// Part of the line may be there, or all of it but not durably. If even
		// this fails, a part is dropped by the next append; all of it stays.
		f.Truncate(end)
	}
	return errors.Join(err, f.Close())
}
