package tuf

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical returns the canonical form of a JSON value, the bytes that TUF
// signs: no white space, names sorted bytewise, strings with only quote and
// backslash escaped. TUF specification, section 4.2, refers to OLPC's Canonical
// JSON, which has no numbers but integers; data has passed the strict gate or
// comes from this package, so that no others occur.
func Canonical(data []byte) ([]byte, error) {
	c, err := canonicalize(data)
	if err != nil {
		return nil, err
	}
	return c.out, nil
}

func canonicalize(data []byte) (*canonicalizer, error) {
	c := &canonicalizer{
		dec: jsontext.NewDecoder(bytes.NewBuffer(data), checked),
		out: make([]byte, 0, len(data)),
	}
	if err := c.value(); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return c, nil
}

// checked spares readers behind the gate another look for duplicate names,
// which costs as much as all the rest of reading.
var checked = jsontext.AllowDuplicateNames(true)

type canonicalizer struct {
	dec     *jsontext.Decoder
	out     []byte
	members []span // of all objects that are open, the innermost last
	scratch []byte // for reorder
	foreign bool   // some object's names have another order in JavaScript
}

func (c *canonicalizer) value() error {
	switch c.dec.PeekKind() {
	case '{':
		return c.object()
	case '[':
		return c.array()
	case '"':
		return c.string()
	}
	raw, err := c.dec.ReadValue()
	c.out = append(c.out, raw...)
	return err
}

func (c *canonicalizer) string() error {
	raw, err := c.dec.ReadValue()
	if err != nil {
		return err
	}
	c.out, err = appendString(c.out, raw)
	return err
}

func (c *canonicalizer) array() error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	c.out = append(c.out, '[')
	for first := true; c.dec.PeekKind() != ']'; first = false {
		if !first {
			c.out = append(c.out, ',')
		}
		if err := c.value(); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	_, err := c.dec.ReadToken()
	return err
}

// A span is one member of an object in the output: name, colon, value.
type span struct{ start, colon, end int }

// object writes the members as they come and reorders them only if they were
// not sorted: what this package writes always is.
func (c *canonicalizer) object() error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	c.out = append(c.out, '{')
	first := len(c.members)
	for c.dec.PeekKind() != '}' {
		if len(c.members) > first {
			c.out = append(c.out, ',')
		}
		m, err := c.member()
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	members := c.members[first:]
	c.foreign = c.foreign || c.sortsOtherwise(members)
	if !slices.IsSortedFunc(members, c.compare) {
		c.reorder(members)
	}
	c.members = c.members[:first]
	c.out = append(c.out, '}')
	_, err := c.dec.ReadToken()
	return err
}

func (c *canonicalizer) member() (m span, err error) {
	m.start = len(c.out)
	if err := c.string(); err != nil {
		return m, err
	}
	m.colon = len(c.out)
	c.out = append(c.out, ':')
	if err := c.value(); err != nil {
		return m, err
	}
	m.end = len(c.out)
	return m, nil
}

func (c *canonicalizer) compare(a, b span) int {
	return bytes.Compare(unescaped(c.out[a.start:a.colon]), unescaped(c.out[b.start:b.colon]))
}

// sortsOtherwise reports whether JavaScript would sort these names in another
// order: by UTF-16, where a character beyond U+FFFF comes before U+E000.
func (c *canonicalizer) sortsOtherwise(members []span) bool {
	beyond := func(m span) bool {
		return slices.ContainsFunc(c.out[m.start:m.colon], func(b byte) bool { return b >= 0xf0 })
	}
	if !slices.ContainsFunc(members, beyond) {
		return false
	}
	sorted := slices.SortedFunc(slices.Values(members), c.compare)
	return !slices.IsSortedFunc(sorted, func(a, b span) int {
		return slices.Compare(c.utf16(a), c.utf16(b))
	})
}

func (c *canonicalizer) utf16(m span) []uint16 {
	return utf16.Encode([]rune(string(unescaped(c.out[m.start:m.colon]))))
}

func (c *canonicalizer) reorder(members []span) {
	start := members[0].start
	c.scratch = append(c.scratch[:0], c.out[start:]...)
	slices.SortFunc(members, c.compare)
	c.out = c.out[:start]
	for i, m := range members {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, c.scratch[m.start-start:m.end-start]...)
	}
}

// appendString appends the canonical form of a JSON string. Strings without
// escapes, nearly all, are canonical as they are.
func appendString(dst, raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(dst, raw...), nil
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '"')
	for _, b := range plain {
		if b == '"' || b == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return append(dst, '"'), nil
}

// unescaped is the content of a canonical string.
func unescaped(s []byte) []byte {
	s = s[1 : len(s)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		plain = append(plain, s[i])
	}
	return plain
}
