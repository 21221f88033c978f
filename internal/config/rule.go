package config

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Rule says which roots of some collections may be trusted. Of several rules
// the most specific counts alone, so that what is pinned can be read in one
// place.
type Rule struct {
	Pattern   string   // of the collections
	Line      int      // where it stands
	Roots     []string // SHA-256 of roots, in hex
	Keys      []string // IDs of root keys
	Threshold int      // how many of Keys must have signed, at least 1
	CA        string   // the name of a file with certificates

	// TOFU is whether the first root may be trusted whatever it is; nil if the
	// rule does not say.
	TOFU *bool
}

// Pins reports whether the rule demands something of roots.
func (r *Rule) Pins() bool { return len(r.Roots)+len(r.Keys) > 0 || r.CA != "" }

// Rule is the rule for a collection, nil if there is none.
func (f *File) Rule(collection string) *Rule {
	for i := range f.rules {
		if matches(f.rules[i].Pattern, collection) {
			return &f.rules[i]
		}
	}
	return nil
}

func (f *File) readRule(pattern string, k, v *yaml.Node) error {
	if err := checkPattern(k, pattern); err != nil {
		return err
	}
	r := Rule{Pattern: pattern, Line: k.Line, Threshold: 1}
	if err := eachPair(v, func(key string, k, v *yaml.Node) error { return f.setRule(&r, key, k, v) }); err != nil {
		return err
	}
	switch {
	case r.Threshold > max(1, len(r.Keys)):
		return at(k, "the threshold of %s is %d, with %d keys", pattern, r.Threshold, len(r.Keys))
	case r.TOFU != nil && *r.TOFU && r.Pins():
		return at(k, "tofu contradicts the pins of %s: either they count, or the first root does whatever it is", pattern)
	}
	f.rules = append(f.rules, r)
	return nil
}

func (f *File) setRule(r *Rule, key string, k, v *yaml.Node) (err error) {
	switch key {
	case "root":
		r.Roots, err = hashes(v)
	case "keys":
		r.Keys, err = hashes(v)
	case "threshold":
		r.Threshold, err = count(v)
	case "ca":
		r.CA, err = f.path(v)
	case "tofu":
		var yes bool
		if err := v.Decode(&yes); err != nil || v.Tag != "!!bool" {
			return at(v, "tofu is true or false")
		}
		r.TOFU = &yes
	default:
		return at(k, "unknown key %q", key)
	}
	return err
}

// count reads a positive number.
func count(n *yaml.Node) (int, error) {
	s, err := text(n)
	if err != nil {
		return 0, err
	}
	i, err := strconv.Atoi(s)
	if err != nil || i < 1 {
		return 0, at(n, "%q is not a number of keys", s)
	}
	return i, nil
}

// hashes is one SHA-256 in hex, or a list of them. An empty list is refused: it
// would pin nothing.
func hashes(n *yaml.Node) ([]string, error) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	if len(nodes) == 0 {
		return nil, at(n, "a value is missing")
	}
	var all []string
	for _, n := range nodes {
		s, err := text(n)
		if err != nil {
			return nil, err
		}
		s = strings.ToLower(strings.TrimPrefix(s, "sha256:"))
		if raw, err := hex.DecodeString(s); err != nil || len(raw) != 32 {
			return nil, at(n, "%q is not a SHA-256 in hex", s)
		}
		if slices.Contains(all, s) {
			return nil, at(n, "%q stands there twice", s)
		}
		all = append(all, s)
	}
	return all, nil
}
