// Package config reads the file that says what commands go by where no flag
// does: where collections are, and which roots may be trusted. A key that it
// does not know is an error, with its line: a misspelt pin must not pass for
// one.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"publisher/repo"
	"publisher/repo/keys"
)

// Name is how the file is called in a trust directory.
const Name = "config.yaml"

// MaxSize is how much of a file is read, in bytes.
const MaxSize = 1 << 20

// The keys of the file, and of each section of collections.
const (
	Store     = "store"
	URL       = "url"
	Online    = "online"
	Inbox     = "inbox"
	TLSCACert = "tlscacert"
	TLSCert   = "tlscert"
	TLSKey    = "tlskey"
	KeyType   = "key_type"
)

// Keys is all of them, in the order in which they are shown.
var Keys = []string{Store, URL, Online, Inbox, TLSCACert, TLSCert, TLSKey, KeyType}

// paths are those whose value is the name of a file.
var paths = []string{TLSCACert, TLSCert, TLSKey}

var keyTypes = []string{keys.Ed25519, keys.ECDSA, keys.RSA}

// A File is what a configuration file says. The zero File says nothing.
type File struct {
	Path string

	// TrustDir is empty unless the file names it.
	TrustDir     string
	trustDirLine int

	sections []section // the most specific first, the one for all last
	rules    []Rule    // the most specific first
}

// A Value is what the file says of a key, and where.
type Value struct {
	Text    string
	Line    int
	Pattern string // of the section that says it, empty outside of sections
}

type section struct {
	pattern string
	values  map[string]Value
}

// Read reads the file at path. The error wraps fs.ErrNotExist if there is none.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads what is in the file at path, on which the files that it names
// depend. Every error names the file, and the line if there is one.
func Parse(path string, data []byte) (*File, error) {
	f := &File{Path: path}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%s: more than %d bytes", path, MaxSize)
	}
	doc, err := document(data)
	if err == nil && doc != nil {
		err = f.read(doc)
	}
	if err != nil {
		return nil, f.located(err)
	}
	slices.SortStableFunc(f.sections, func(a, b section) int { return bySpecificity(a.pattern, b.pattern) })
	slices.SortStableFunc(f.rules, func(a, b Rule) int { return bySpecificity(a.Pattern, b.Pattern) })
	return f, nil
}

// document is the one document in data, nil if there is nothing in it.
func document(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, at(&more, "a second document"))
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

// lineError is an error at a line of the file.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return e.text }

func at(n *yaml.Node, format string, args ...any) error {
	return &lineError{n.Line, fmt.Sprintf(format, args...)}
}

// located adds the name of the file, and the line, to an error.
func (f *File) located(err error) error {
	var e *lineError
	if errors.As(err, &e) {
		return fmt.Errorf("%s, line %d: %s", f.Path, e.line, e.text)
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return fmt.Errorf("%s: %s", f.Path, strings.Join(strings.Fields(text), " "))
}

func (f *File) read(doc *yaml.Node) error {
	all := section{values: map[string]Value{}}
	err := eachPair(doc, func(key string, k, v *yaml.Node) (err error) {
		switch {
		case key == "trust_dir":
			f.trustDirLine = k.Line
			f.TrustDir, err = f.path(v)
			return err
		case key == "collections":
			return eachPair(v, func(pattern string, k, v *yaml.Node) error { return f.readSection(pattern, k, v) })
		case key == "trust":
			return eachPair(v, func(pattern string, k, v *yaml.Node) error { return f.readRule(pattern, k, v) })
		}
		return f.set(&all, key, k, v)
	})
	f.sections = append(f.sections, all)
	return err
}

func (f *File) readSection(pattern string, k, v *yaml.Node) error {
	if err := checkPattern(k, pattern); err != nil {
		return err
	}
	s := section{pattern, map[string]Value{}}
	f.sections = append(f.sections, s)
	return eachPair(v, func(key string, k, v *yaml.Node) error { return f.set(&s, key, k, v) })
}

// set takes one of Keys over into a section.
func (f *File) set(s *section, key string, k, v *yaml.Node) error {
	if !slices.Contains(Keys, key) {
		return at(k, "unknown key %q", key)
	}
	get := text
	if slices.Contains(paths, key) {
		get = f.path
	}
	value, err := get(v)
	if err == nil && key == KeyType && !slices.Contains(keyTypes, value) {
		err = at(v, "%q is not a kind of key: %s", value, strings.Join(keyTypes, ", "))
	}
	s.values[key] = Value{Text: value, Line: k.Line, Pattern: s.pattern}
	return err
}

// eachPair calls do with the pairs of a mapping. Nothing may stand there twice,
// and nothing be brought in from elsewhere: what is written is what counts.
func eachPair(n *yaml.Node, do func(key string, k, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "keys and values are wanted here")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, err := text(n.Content[i])
		if err != nil {
			return err
		}
		if seen[key] {
			return at(n.Content[i], "%q stands there twice", key)
		}
		seen[key] = true
		if err := do(key, n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// text is a value that is one string, and not empty.
func text(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", at(n, "one value is wanted here")
	case n.Value == "" || n.Tag == "!!null":
		return "", at(n, "a value is missing")
	}
	return n.Value, nil
}

// path is the name of a file, from the directory of this one on.
func (f *File) path(n *yaml.Node) (string, error) {
	name, err := text(n)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.Path), name)
	}
	if name, err = filepath.Abs(name); err != nil {
		return "", at(n, "%v", err)
	}
	return name, nil
}

// RefuseTrustDir fails if the file names a trust directory: the one that lies in
// one cannot.
func (f *File) RefuseTrustDir() error {
	if f.TrustDir == "" {
		return nil
	}
	return fmt.Errorf("%s, line %d: trust_dir is for a file given with --config: this one lies in the trust directory", f.Path, f.trustDirLine)
}

// Lookup is what the file says of a key for a collection: the most specific
// section that says something, or what stands outside of sections. Without a
// collection only that counts.
func (f *File) Lookup(collection, key string) (Value, bool) {
	for _, s := range f.sections {
		if v, ok := s.values[key]; ok && (s.pattern == "" || matches(s.pattern, collection)) {
			return v, true
		}
	}
	return Value{}, false
}

// checkPattern refuses what is neither a collection, nor a prefix of names with
// /* behind it, nor * for all.
func checkPattern(n *yaml.Node, pattern string) error {
	prefix := strings.TrimSuffix(pattern, "/*")
	if pattern == "*" || repo.CheckCollection(prefix) == nil {
		return nil
	}
	return at(n, "%q is neither a collection nor, as example.com/*, all those below a name", pattern)
}

// matches reports whether a collection is the pattern, or is below it: a/* is
// for a/b and a/b/c, and not for a.
func matches(pattern, collection string) bool {
	if collection == "" {
		return false
	}
	prefix, wild := strings.CutSuffix(pattern, "*")
	return pattern == collection || wild && strings.HasPrefix(collection, prefix)
}

// bySpecificity sorts collections before prefixes, the longer ones first, and
// what is for all last.
func bySpecificity(a, b string) int {
	exact := func(p string) int {
		if p != "" && !strings.HasSuffix(p, "*") {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(exact(a), exact(b)), cmp.Compare(len(b), len(a)))
}
