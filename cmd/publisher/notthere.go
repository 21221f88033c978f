package main

import (
	"fmt"
	"net/url"
	"strings"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/trust"
)

// notThere is err, a repo.ErrNotPublished, of a collection that was read from
// where s says. Who knows of no store but of a URL alone cannot publish it, and may
// have got the URL wrong: they are told what was asked, and what to do.
func (a *app) notThere(name string, s trust.Settings, err error) error {
	layers := a.layers(name, s)
	key, from := readFrom(layers)
	if key != config.URL || valueOf(layers, config.Store).value != "" {
		return err
	}
	err = fmt.Errorf("%s: %w at %s", name, repo.ErrNotPublished, placeOf(name, from.value))
	if base, ok := doubled(name, from.value); ok {
		return hinted(err, "%s: the address is the one above the collection, without its name", toCorrect(name, from, base))
	}
	return hinted(err, "ask its publisher for the address: --url is the one above the collection, without its name")
}

// placeOf is where a collection is, at a URL.
func placeOf(name, address string) string {
	if u, err := url.Parse(address); err == nil {
		address = u.Redacted()
	}
	return strings.TrimRight(address, "/") + "/" + name
}

// doubled reports whether a URL ends in the name of the collection, as one does
// that was copied from its files, and what comes before it.
func doubled(name, address string) (base string, ok bool) {
	return strings.CutSuffix(strings.TrimRight(address, "/"), "/"+name)
}

// toCorrect is what to type to have the URL that a setting gives replaced.
func toCorrect(name string, from setting, address string) string {
	if from.from == "settings of "+name {
		return setURL(name, address)
	}
	return fmt.Sprintf("correct %s to %s", from.from, address)
}

func setURL(name, address string) string {
	return toType("publisher trust set "+name+" --url", address)
}

// warnDoubled warns of a URL that nothing was read from yet.
func (a *app) warnDoubled(name string, s trust.Settings) {
	key, from := readFrom(a.layers(name, s))
	base, ok := doubled(name, from.value)
	if key == config.URL && ok {
		a.warnf("the collection will be looked for at %s; if that is wrong: %s",
			placeOf(name, from.value), setURL(name, base))
	}
}
