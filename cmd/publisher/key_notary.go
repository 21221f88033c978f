package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"publisher/repo/tuf"
)

// This file is what Notary's trust directory says of the keys in it.

// maxKeyFiles is how many files of a directory are taken for keys.
const maxKeyFiles = 1000

// keyFiles is the key files that a name stands for: itself, or all that are
// called *.key in a directory, its directory private if it has one, or below.
func keyFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if name == "-" || err != nil || !info.IsDir() {
		return []string{name}, nil // whoever opens it tells what is wrong
	}
	if private := filepath.Join(name, "private"); isDir(private) {
		name = private
	}
	var found []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) == ".key" {
			found = append(found, path)
		}
		if len(found) > maxKeyFiles {
			return usage("name the files", "%s has more than %d key files", name, maxKeyFiles)
		}
		return err
	})
	if err == nil && len(found) == 0 {
		err = hinted(fmt.Errorf("no file *.key in %s: %w", name, fs.ErrNotExist), "publisher key import FILE…")
	}
	return found, err
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// keyRole is what a key is for, by its file and else by the flag. Notary takes
// any name for keys of delegations, such as user, which says nothing of which.
func keyRole(told, flag string) string {
	switch {
	case told == "":
		return flag
	case slices.Contains(tuf.TopLevel, told) || strings.HasPrefix(told, "targets/"):
		return told
	case strings.HasPrefix(flag, "targets/"):
		return flag
	}
	return anyDelegation
}

// oldKeyFile is how Notary called key files before 0.4, when their headers did
// not say what they are for: KEYID_ROLE.key in tuf_keys/GUN or in root_keys.
var oldKeyFile = regexp.MustCompile(`(?:^|/)(?:tuf_keys/(.+)/|root_keys/)?[0-9a-f]{64}_([a-z]+)\.key$`)

// byFileName is what the name of a file says of the key in it, or nothing.
func byFileName(file string) (role, collection string) {
	if m := oldKeyFile.FindStringSubmatch(filepath.ToSlash(file)); m != nil {
		return m[2], m[1]
	}
	return "", ""
}
