package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// missingDirs is path and the directories above it that do not exist, the
// innermost first; none for an empty path.
func missingDirs(path string) []string {
	var missing []string
	for path != "" {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, path)
		path = filepath.Dir(path)
	}
	return missing
}

// removeEmpty takes directories back that a command made in vain. What somebody
// has put something into stays, and so does what is around it.
func removeEmpty(dirs []string) {
	for _, dir := range dirs {
		if os.Remove(dir) != nil {
			return
		}
	}
}

// apart refuses a file or directory, whose content others will see, that is in
// the trust directory or holds it: private keys would be seen too. The store
// that dev makes there is no secret.
func (a *app) apart(path string) error {
	secret, err := resolve(a.trust.Path())
	if err != nil {
		return err
	}
	shown, err := resolve(path)
	if err != nil {
		return err
	}
	switch {
	case inside(shown, secret):
		return usage("name another one", "%s holds the trust directory: its private keys would be shown", path)
	case inside(secret, shown) && !inside(filepath.Join(secret, "dev"), shown):
		return usage("name another one", "%s is in the trust directory, with the private keys", path)
	}
	return nil
}

// inside reports whether path is dir or lies below it. Both are absolute.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// resolve is an absolute path without symbolic links, as far as it exists.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
		real, err = resolve(parent)
		return filepath.Join(real, filepath.Base(path)), err
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return real, nil
}
