package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/web"
	"publisher/trust"
)

// source opens what a collection is read from. What this command was given goes
// before what the environment says, that before what the trust directory
// remembers, and each time a URL before a store.
func (a *app) source(ctx context.Context, s trust.Settings) (storage.Getter, error) {
	address, store := a.flags.url, a.flags.store
	switch {
	case address == "" && store == "":
		address, store = s.URL, s.Store
	case a.storeGiven && !a.urlGiven:
		address = ""
	}
	switch {
	case address != "":
		config, err := a.tlsConfig(s)
		if err != nil {
			return nil, err
		}
		s, err := web.Open(address, config)
		if err != nil {
			return nil, &cliError{err: err, hint: "--url https://HOST, without a query", code: exitUsage}
		}
		return overHTTPS{s}, nil
	case store != "":
		return openStore(ctx, store)
	}
	return nil, &cliError{
		err:  fmt.Errorf("it is not known where to read the collection from"),
		hint: "add --url https://HOST, or --store URL",
		code: exitNotFound,
	}
}

// ownSource is the source for those who publish. Unless this command was given a
// URL, that is the store itself: a mirror may lag behind it.
func (a *app) ownSource(ctx context.Context, s trust.Settings) (storage.Getter, error) {
	if s.Store != "" {
		s.URL = ""
	}
	return a.source(ctx, s)
}

// tlsConfig is for reading over HTTPS: the CAs of --tlscacert or of the
// settings and no others, else those of the system.
func (a *app) tlsConfig(s trust.Settings) (*tls.Config, error) {
	file := a.flags.tlsCACert
	if file == "" {
		file = s.TLSCACert
	}
	if file == "" {
		return &tls.Config{}, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, usage("--tlscacert FILE, with certificates in PEM form", "no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// view is a published collection, verified from the trusted root down to its
// snapshot and no older than what was seen before.
func (a *app) view(ctx context.Context, name string) (*repo.View, error) {
	v, _, err := a.read(ctx, name)
	return v, err
}

// read is view, and where the targets are read from.
func (a *app) read(ctx context.Context, name string) (*repo.View, storage.Getter, error) {
	c, settings, err := a.known(name)
	if err != nil {
		return nil, nil, err
	}
	source, err := a.source(ctx, settings)
	if err != nil {
		return nil, nil, err
	}
	l := &repo.Loader{Source: source, Collection: name, Cache: c.Cache(), Now: a.now()}
	v, err := l.Load(ctx)
	if err == nil && !v.Published() {
		err = fmt.Errorf("%s: %w", name, repo.ErrNotPublished)
	}
	return v, source, err
}

// overHTTPS is where a collection is served; its errors tell what to do about a
// server that does not serve it as it should.
type overHTTPS struct{ storage.Getter }

func (s overHTTPS) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Getter.Get(ctx, key)
	switch {
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
