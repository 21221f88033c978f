package trust

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"publisher/internal/durable"
)

// A Cache holds a collection's metadata files as they were verified last. Names
// are those of the files: "root.json", "releases.ci.json".
type Cache struct{ c *Collection }

// Cache returns the collection's cache.
func (c *Collection) Cache() *Cache { return &Cache{c} }

func (m *Cache) file(name string) (string, error) {
	if err := checkCollection(m.c.name); err != nil {
		return "", err
	}
	return filepath.Join(m.c.file(metadataDir), name), checkFile(name)
}

// Get returns the file of that name.
func (m *Cache) Get(name string) ([]byte, error) {
	file, err := m.file(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// Put stores a file, in place of one of the same name. It writes nothing if the
// same bytes are there.
func (m *Cache) Put(name string, data []byte) error {
	file, err := m.file(name)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return m.c.change(filepath.Dir(file), func() error {
		return durable.WriteFile(file, data, fileMode)
	})
}

// Remove takes a file away, as clients must after a change of keys: TUF
// specification, section 5.3.11. It may be missing.
func (m *Cache) Remove(name string) error {
	file, err := m.file(name)
	if err != nil {
		return err
	}
	return m.c.change(filepath.Dir(file), func() error {
		err := os.Remove(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, durable.SyncDir(filepath.Dir(file)))
	})
}
