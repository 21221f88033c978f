package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A page is what of a Markdown file takes part in links.
type page struct {
	links   []link          // destinations, as written
	uses    []link          // labels of reference links, lower case
	labels  map[string]bool // labels defined, lower case
	anchors map[string]bool // fragments that lead somewhere
}

type link struct {
	line int
	dest string
}

var (
	fence      = regexp.MustCompile("^[ \t>]*(?:[-*+] +|[0-9]+[.)] +)?(```+|~~~+)")
	codeSpan   = regexp.MustCompile("``.*?``|`[^`]*`")
	inline     = regexp.MustCompile(`\]\(\s*(?:<([^>]*)>|([^\s)]+))`)
	definition = regexp.MustCompile(`^ {0,3}\[([^\]]+)\]:\s*(?:<([^>]*)>|(\S+))`)
	reference  = regexp.MustCompile(`\]\[([^\]]+)\]`)
	htmlLink   = regexp.MustCompile(`<[a-z][^>]*\b(?:href|src)="([^"]*)"`)
	htmlAnchor = regexp.MustCompile(`<[a-z][^>]*\b(?:id|name)="([^"]+)"`)
	heading    = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])`)
)

// parse reads the links and anchors of a page. It knows the Markdown this
// project writes: fenced code, headings with #. Headings that are underlined
// and code that is only indented it does not know, so the one has no anchor and
// the links in the other are followed.
func parse(lines []string) page {
	p := page{labels: map[string]bool{}, anchors: map[string]bool{}}
	open := "" // the fence that the current code block ends with
	for i, line := range lines {
		if m := fence.FindStringSubmatch(line); m != nil {
			switch {
			case open == "":
				open = m[1]
			case strings.HasPrefix(m[1], open):
				open = ""
			}
			continue
		}
		if open != "" {
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			p.addHeading(m[1])
		}
		p.addLine(i+1, codeSpan.ReplaceAllString(line, ""))
	}
	return p
}

// addLine collects what a line of prose holds. The text of a link may have
// begun on the line before, so only its end is looked for.
func (p *page) addLine(n int, line string) {
	if m := definition.FindStringSubmatch(line); m != nil {
		p.labels[strings.ToLower(m[1])] = true
		p.links = append(p.links, link{n, m[2] + m[3]})
		return
	}
	for _, m := range inline.FindAllStringSubmatch(line, -1) {
		p.links = append(p.links, link{n, m[1] + m[2]})
	}
	for _, m := range htmlLink.FindAllStringSubmatch(line, -1) {
		p.links = append(p.links, link{n, m[1]})
	}
	for _, m := range reference.FindAllStringSubmatch(line, -1) {
		p.uses = append(p.uses, link{n, strings.ToLower(m[1])})
	}
	for _, m := range htmlAnchor.FindAllStringSubmatch(line, -1) {
		p.anchors[m[1]] = true
	}
}

// addHeading adds the fragment under which hosts of Markdown serve a heading;
// the second of the same text ends in -1, the third in -2.
func (p *page) addHeading(text string) {
	base := slug(text)
	anchor := base
	for n := 1; p.anchors[anchor]; n++ {
		anchor = fmt.Sprintf("%s-%d", base, n)
	}
	p.anchors[anchor] = true
}

// slug keeps the letters, digits, marks, hyphens and underscores of a heading,
// lower case, with hyphens for spaces.
func slug(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.In(r, unicode.L, unicode.N, unicode.M):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}
