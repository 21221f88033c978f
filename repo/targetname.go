package repo

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxTargetName is the longest name of a target, in bytes: with the
// collection's and the hash before it, it must fit an object's key.
const MaxTargetName = 512

// CheckTargetName reports why some client could not read a target of this name.
func CheckTargetName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("target name is empty")
	case len(name) > MaxTargetName:
		return fmt.Errorf("target name of %d bytes, at most %d", len(name), MaxTargetName)
	case !utf8.ValidString(name):
		return fmt.Errorf("target name %q is not UTF-8", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("target name %q starts with a slash", name)
	case strings.HasSuffix(name, " "):
		return fmt.Errorf("target name %q ends in a space, which JavaScript clients cut off", name)
	}
	for _, r := range name {
		if strings.ContainsRune(`%?#\`, r) || r < 0x20 || 0x7f <= r && r < 0xa0 {
			return fmt.Errorf("target name %q has %q, which clients do not escape alike", name, r)
		}
	}
	for element := range strings.SplitSeq(name, "/") {
		switch {
		case element == "" || element == "." || element == "..":
			return fmt.Errorf("target name %q has the path element %q", name, element)
		case len(element) > 255-65: // the hash and a dot come before the last one
			return fmt.Errorf("target name %q has a path element of %d bytes, at most %d", name, len(element), 255-65)
		}
	}
	return nil
}

// FoldTargetName returns what names have in common that are one file on some
// disks: they differ only in case, or in how Unicode composes their letters.
func FoldTargetName(name string) string {
	return strings.ToLower(norm.NFC.String(name))
}

// TargetNameWarning says which clients are known to fail on a name that is
// allowed, or nothing.
func TargetNameWarning(name string) string {
	for _, r := range name {
		if r == ' ' || r > 0x7f || strings.ContainsRune(`:"<>[]{}|^`+"`", r) {
			return fmt.Sprintf("target name %q has %q, which sigstore-ruby cannot fetch", name, r)
		}
	}
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") {
			return fmt.Sprintf("target name %q has a path element with a leading dot, which some hosts do not serve", name)
		}
	}
	return ""
}
