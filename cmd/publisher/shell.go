package main

import (
	"fmt"
	"strings"
	"unicode"
)

// toType is what to type for a command with these arguments, whatever they are
// called: the one way in which names of users' files, targets and stores get
// into a hint. The command itself is ours.
func toType(command string, args ...string) string {
	words := []string{command}
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && len(words) == i+1 {
			words = append(words, "--") // or it would be a flag
		}
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// quoted is s as a word of a shell's command, on one line.
func quoted(s string) string {
	switch {
	case s == "":
		return "''"
	case strings.ContainsFunc(s, isUnprintable):
		return "$'" + escaped(s) + "'"
	case !strings.ContainsAny(s, " \t\n'\"$`\\&|;<>()*?[]#~!{}") && !strings.ContainsFunc(s, unicode.IsSpace):
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// isUnprintable is true of what a terminal could take for an order, and of bytes
// that are no character.
func isUnprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }

// escaped is s as shells read it between $' and ', byte by byte where it is not
// plain.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
