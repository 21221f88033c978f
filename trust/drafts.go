package trust

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/internal/durable"
	"publisher/repo"
)

const draftsDir = "drafts"

// A Draft is a draft of a submission that this trust directory has a part in,
// and what else is known about it here.
type Draft struct {
	*repo.Draft
	Made    time.Time // when it was kept here first
	Changes []string  // IDs of the staged changes that it publishes
	Inbox   string    // the store that it was shared in, empty if it was not
}

// keptDraft is the form of a Draft's file.
type keptDraft struct {
	Made    time.Time      `json:"made"`
	Changes []string       `json:"changes,omitempty"`
	Inbox   string         `json:"inbox,omitempty"`
	Draft   jsontext.Value `json:"draft"`
}

// Drafts returns the drafts that are kept here, the oldest first. One that
// cannot be read is an error that names its file.
func (c *Collection) Drafts() ([]Draft, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	entries, err := readDir(c.file(draftsDir))
	if err != nil {
		return nil, err
	}
	var all []Draft
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue // on its way to its name
		}
		d, err := c.readDraft(c.file(filepath.Join(draftsDir, e.Name())))
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped just now
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b Draft) int { return a.Made.Compare(b.Made) })
	return all, nil
}

func (c *Collection) readDraft(file string) (Draft, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Draft{}, err
	}
	var k keptDraft
	d := Draft{}
	if err = json.Unmarshal(data, &k, json.RejectUnknownMembers(true)); err == nil {
		d = Draft{Made: k.Made, Changes: k.Changes, Inbox: k.Inbox}
		d.Draft, err = repo.ParseDraft(k.Draft)
	}
	if err == nil && d.Collection != c.name {
		err = fmt.Errorf("it is of the collection %q", d.Collection)
	}
	if err == nil && c.draftFile(d.ID()) != file {
		err = errors.New("it says something else than its name")
	}
	if err != nil {
		return Draft{}, fmt.Errorf("%s: unreadable draft: %w", file, err)
	}
	return d, nil
}

func (c *Collection) draftFile(id string) string {
	return c.file(filepath.Join(draftsDir, id+".json"))
}

// KeepDraft stores a draft, in place of another copy of it.
func (c *Collection) KeepDraft(d Draft) error {
	text, err := d.Encode()
	if err == nil {
		text, err = json.Marshal(keptDraft{d.Made, d.Changes, d.Inbox, text}, jsontext.Multiline(true))
	}
	if err != nil {
		return fmt.Errorf("keep draft: %w", err)
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := durable.MkdirAll(c.file(draftsDir), dirMode); err != nil {
		return err
	}
	return c.change(c.file(draftsDir), func() error {
		return durable.WriteFile(c.draftFile(d.ID()), append(text, '\n'), fileMode)
	})
}

// DropDraft forgets a draft. It need not be there.
func (c *Collection) DropDraft(id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 32 {
		return fmt.Errorf("draft %q: %w", id, fs.ErrInvalid)
	}
	if _, err := os.Stat(c.draftFile(id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.change(c.file(draftsDir), func() error {
		err := os.Remove(c.draftFile(id))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, durable.SyncDir(c.file(draftsDir)))
	})
}
