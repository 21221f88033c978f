package trust

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"publisher/repo"
)

// flat is the name of a collection's directory. It leads nowhere else for names
// that pass checkCollection, which have no "+" of their own.
func flat(collection string) string { return strings.ReplaceAll(collection, "/", "+") }

func unflat(dir string) string { return strings.ReplaceAll(dir, "+", "/") }

// checkCollection refuses names that no collection can have; what is left stays
// in the directory.
func checkCollection(name string) error {
	if err := repo.CheckCollection(name); err != nil {
		return err
	}
	if !storable(flat(name)) {
		return fmt.Errorf("collection name %q: %w on this system", name, fs.ErrInvalid)
	}
	return nil
}

// checkFile refuses names of metadata files that could leave the directory or
// mean something else there. Role names of other makers' collections may hold
// nearly anything.
func checkFile(name string) error {
	if name == "" || strings.ContainsAny(name, `/\<>:"|?*`) || name[0] == '.' || !storable(name) {
		return fmt.Errorf("metadata file name %q: %w", name, fs.ErrInvalid)
	}
	return nil
}

// storable reports whether the system keeps a file of that name, and under it.
func storable(name string) bool {
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	if runtime.GOOS == "windows" && strings.TrimRight(name, ". ") != name {
		return false // the system drops them silently
	}
	return filepath.IsLocal(name) // not NUL and the like, on Windows
}

// checkKeyID refuses what is not the SHA-256 of a key, in hex.
func checkKeyID(id string) error {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 32 || strings.ToLower(id) != id {
		return fmt.Errorf("key ID %q: %w: not a SHA-256 in hex", id, fs.ErrInvalid)
	}
	return nil
}
