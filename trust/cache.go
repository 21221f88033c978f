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

// Collection is what the cache is of: for those who fill a draft of one, that
// draft.
func (m *Cache) Collection() *Collection { return m.c }

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

// Replace is Put on condition that the file is still old, empty for none. It
// reports whether it was.
func (m *Cache) Replace(name string, old, data []byte) (bool, error) {
	file, err := m.file(name)
	if err != nil {
		return false, err
	}
	var done bool
	err = m.c.change(filepath.Dir(file), func() error {
		there, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if done = bytes.Equal(there, old); !done {
			return nil
		}
		return durable.WriteFile(file, data, fileMode)
	})
	return done, err
}
