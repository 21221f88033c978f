// Package strict is the gate that every byte passes that comes from a store, an
// event or a URL, before anything parses it.
//
// JSON readers differ: in what they do with a name that occurs twice or in
// another case, with null where a value belongs, with a number that does not
// fit. Whoever can make two readers disagree can show one thing to the signer
// and another to the client. The gate lets pass only what all of them read
// alike, and what none of them crashes on.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxInt is the largest integer, and -MaxInt the smallest, that every JSON
// reader keeps exactly.
const MaxInt = 1<<53 - 1

// MaxDepth is how deeply objects and arrays may nest.
const MaxDepth = 32

// Check reports why data is not one JSON value of the given shape: more than
// max bytes, invalid UTF-8, a name that occurs twice or differs from a known
// one only in case, a missing name, null or a value of another type where the
// shape wants one, a number that is not an integer within ±MaxInt, nesting
// beyond MaxDepth, or bytes after the end.
func Check(data []byte, max int64, s *Shape) error { return CheckBelow(0, data, max, s) }

// CheckBelow is Check for a value that will lie in others, that many deep: they
// count for the nesting too.
func CheckBelow(depth int, data []byte, max int64, s *Shape) error {
	if int64(len(data)) > max {
		return fmt.Errorf("%d bytes, at most %d allowed", len(data), max)
	}
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	c := &checker{dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	if err := c.value(s, depth); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("at %s: %w", where(c.dec), err)
	}
	if _, err := c.dec.ReadToken(); err != io.EOF {
		return errors.New("bytes after the end of the JSON value")
	}
	return nil
}

// where names the place in the document that the decoder has reached.
func where(dec *jsontext.Decoder) string {
	if p := dec.StackPointer(); p != "" {
		return strconv.QuoteToGraphic(short(string(p)))
	}
	return "the top"
}

// short cuts what a file says to a length that fits into an error.
func short(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

type checker struct {
	dec *jsontext.Decoder
}

// value checks the next value against s.
func (c *checker) value(s *Shape, depth int) error {
	kind := c.dec.PeekKind()
	if s.kind != anything && kind != s.kind && (s.kind != boolean || kind != 'f') {
		if kind == jsontext.KindInvalid {
			_, err := c.dec.ReadToken()
			return err
		}
		return fmt.Errorf("%s where %s belongs", kindName(kind), kindName(s.kind))
	}
	switch kind {
	case '{', '[':
		if depth++; depth > MaxDepth {
			return fmt.Errorf("nested deeper than %d", MaxDepth)
		}
		if kind == '{' {
			return c.object(s, depth)
		}
		return c.array(s, depth)
	case '0':
		return c.number()
	}
	_, err := c.dec.ReadToken()
	return err
}

func (c *checker) array(s *Shape, depth int) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	for c.dec.PeekKind() != ']' {
		if err := c.value(s.element(), depth); err != nil {
			return err
		}
	}
	_, err := c.dec.ReadToken()
	return err
}

func (c *checker) object(s *Shape, depth int) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	required := s.required
	for c.dec.PeekKind() != '}' {
		member, name, err := c.name(s)
		if err != nil {
			return err
		}
		if required > 0 && s.requires(name) {
			required--
		}
		if err := c.value(member, depth); err != nil {
			return err
		}
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	if required > 0 {
		return fmt.Errorf("one of %s is missing", strings.Join(s.requiredNames(), ", "))
	}
	return nil
}

// name reads the name of a member and returns the shape of its value, and the
// name where the shape knows it. The decoder itself refuses duplicates.
func (c *checker) name(s *Shape) (*Shape, string, error) {
	raw, err := c.dec.ReadValue()
	if err != nil {
		return nil, "", err
	}
	if s.members == nil {
		return s.element(), "", nil
	}
	name := raw[1 : len(raw)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		if name, err = jsontext.AppendUnquote(nil, raw); err != nil {
			return nil, "", err
		}
	}
	if m, ok := s.members[string(name)]; ok {
		return m.shape, m.name, nil
	}
	for known := range s.members {
		if strings.EqualFold(known, string(name)) {
			return nil, "", fmt.Errorf("name %q differs from %q only in case", name, known)
		}
	}
	return s.element(), "", nil
}

func (c *checker) number() error {
	raw, err := c.dec.ReadValue()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > MaxInt || n < -MaxInt || string(raw) == "-0" {
		return fmt.Errorf("number %s is not an integer within ±(2^53-1)", short(string(raw)))
	}
	return nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case jsontext.KindInvalid:
		return "nothing"
	default:
		return fmt.Sprintf("an unexpected %q", string(rune(k)))
	}
}
