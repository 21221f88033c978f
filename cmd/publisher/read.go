package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/storage"
	"publisher/storage/web"
	"publisher/trust"
)

// source opens what a collection is read from: see readFrom.
func (a *app) source(ctx context.Context, name string, s trust.Settings) (storage.Getter, error) {
	layers := a.layers(name, s)
	switch key, from := readFrom(layers); key {
	case config.URL:
		return a.webSource(layers, from.value)
	case config.Store:
		return a.openStore(ctx, from.value)
	}
	return nil, &cliError{
		err:  fmt.Errorf("it is not known where to read the collection from"),
		hint: "add --url https://HOST, or --store URL",
		code: exitNotFound,
	}
}

// webSource reads from a web server.
func (a *app) webSource(layers []layer, address string) (storage.Getter, error) {
	conf, err := tlsConfig(layers)
	if err != nil {
		return nil, err
	}
	s, err := web.Open(address, conf)
	if err != nil {
		return nil, &cliError{err: err, hint: "--url https://HOST, without a query", code: exitUsage}
	}
	return overHTTPS{a.traced(s)}, nil
}

// ownSource is the source for those who publish. Unless this command was given a
// URL, that is the store itself: a mirror may lag behind it.
func (a *app) ownSource(ctx context.Context, name string, s trust.Settings) (storage.Getter, error) {
	if s = a.placed(name, s); s.Store != "" {
		s.URL = ""
	}
	return a.source(ctx, name, s)
}

// view is a published collection, verified from the trusted root down to its
// snapshot and no older than what was seen before.
func (a *app) view(ctx context.Context, name string) (*repo.View, error) {
	v, _, err := a.read(ctx, name)
	return v, err
}

// read is view, and where the targets are read from.
func (a *app) read(ctx context.Context, name string) (*repo.View, storage.Getter, error) {
	c, settings, err := a.trusting(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	source, err := a.source(ctx, name, settings)
	if err != nil {
		return nil, nil, err
	}
	l, err := a.loader(name, source, c.Cache())
	if err != nil {
		return nil, nil, err
	}
	v, err := l.Load(ctx)
	if err == nil && !v.Published() {
		err = a.notThere(name, settings, fmt.Errorf("%s: %w", name, repo.ErrNotPublished))
	}
	return v, source, err
}

// overHTTPS is where a collection is served; its errors tell what to do about a
// server that does not serve it as it should.
type overHTTPS struct{ storage.Getter }

func (s overHTTPS) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Getter.Get(ctx, key)
	switch {
	case wantsCertificate(err):
		err = hinted(err, "--tlscert FILE --tlskey FILE, with a certificate that this server accepts")
	case as[x509.UnknownAuthorityError](err):
		err = hinted(err, "--tlscacert FILE, with the CA that this server's certificate comes from")
	case errors.Is(err, fs.ErrPermission):
		err = hinted(err, "the server must let everybody read, and answer 404 for what is missing: correct it, or --url")
	case as[*url.Error](err):
		err = hinted(err, "check the URL and the way to its server, and run the same command again")
	}
	return obj, err
}

// printable is s as it can be shown on a terminal: metadata of other makers may
// name targets with anything, escape sequences too.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
