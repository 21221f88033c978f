package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"publisher/internal/durable"
)

const keySuffix = ".key"

// Keys holds private keys as PEM, each under its key ID. It does not look into
// them: whether they are encrypted is up to the caller.
type Keys struct{ trust *Dir }

func (k *Keys) dir() string { return k.trust.join("private") }

func (k *Keys) file(id string) (string, error) {
	return filepath.Join(k.dir(), id+keySuffix), checkKeyID(id)
}

func (k *Keys) existing(id string) (string, error) {
	file, err := k.file(id)
	if err == nil {
		_, err = os.Stat(file)
	}
	return file, err
}

// List returns the IDs of the keys, sorted. Files of other names are not keys.
func (k *Keys) List() ([]string, error) {
	entries, err := readDir(k.dir())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), keySuffix)
		if ok && checkKeyID(id) == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Get returns a key.
func (k *Keys) Get(id string) ([]byte, error) {
	file, err := k.file(id)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// Add stores a key under an ID that is free, or holds the same bytes already;
// else the error wraps fs.ErrExist and nothing changed.
func (k *Keys) Add(id string, pem []byte) error {
	file, err := k.file(id)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(k.dir(), dirMode); err != nil {
		return err
	}
	return k.change(func() error {
		err := durable.CreateFile(file, pem, fileMode)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if old, readErr := os.ReadFile(file); readErr == nil && bytes.Equal(old, pem) {
			return nil
		}
		return err
	})
}

// Replace stores a key that is there in another form, under a new passphrase
// say. At every moment the key is there in one of the two. A symbolic link to a
// key elsewhere stays one, and the key there is replaced.
func (k *Keys) Replace(id string, pem []byte) error {
	file, err := k.existing(id)
	if err != nil {
		return err
	}
	return k.change(func() error {
		file, err := filepath.EvalSymlinks(file)
		if err != nil {
			return err
		}
		return durable.WriteFile(file, pem, fileMode)
	})
}

// Remove takes a key away for good. The key may be the only copy.
func (k *Keys) Remove(id string) error {
	file, err := k.existing(id)
	if err != nil {
		return err
	}
	return k.change(func() error {
		if err := os.Remove(file); err != nil {
			return err
		}
		return durable.SyncDir(k.dir())
	})
}

// Insecure reports whether somebody other than the user may read or change the
// key's file. It cannot tell on Windows, where permissions are not modes.
func (k *Keys) Insecure(id string) (bool, error) {
	file, err := k.file(id)
	if err != nil {
		return false, err
	}
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS == "windows" {
		return false, err
	}
	return info.Mode().Perm()&0o077 != 0, nil
}

// change runs f while no other process changes keys, after parts of keys that
// killed ones left are removed.
func (k *Keys) change(f func() error) error {
	return k.trust.locked("keys", "write", func() error {
		if err := durable.Sweep(k.dir()); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
		return f()
	})
}
