package main

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

// mirrorOf reads a collection that is trusted here, or any by its URL.
func (a *app) mirrorOf(ctx context.Context, from string, o mirrorOptions) (*repo.Mirror, error) {
	if strings.Contains(from, "://") {
		return a.mirrorOfURL(ctx, from, o)
	}
	for flag, value := range map[string]string{"--root": o.root, "--as": o.as} {
		if value != "" {
			return nil, usage("publisher mirror URL DST --root FILE --as NAME", "%s goes with the URL of a source: %s is trusted here, or not", flag, from)
		}
	}
	c, s, err := a.known(from)
	if err != nil {
		return nil, err
	}
	source, err := a.source(ctx, from, s)
	if err != nil {
		return nil, err
	}
	l, err := a.loader(from, source, c.Cache())
	return &repo.Mirror{Source: source, Loader: l}, err
}

// mirrorOfURL reads what lies at a URL, with trust in a root for this one run.
func (a *app) mirrorOfURL(ctx context.Context, from string, o mirrorOptions) (*repo.Mirror, error) {
	if o.root == "" {
		return nil, usage("publisher mirror URL DST --root FILE", "a source that is given by its URL needs --root: a root of it that is trusted")
	}
	u, err := url.Parse(from)
	if err != nil {
		return nil, usage("publisher mirror https://HOST/COLLECTION DST --root FILE", "source %q is not a URL", from)
	}
	data, err := a.readAtMost(o.root, repo.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.root, err)
	}
	name, err := mirrorName(u.Path, root.Signed.Publisher.Collection, o.as)
	if err != nil {
		return nil, err
	}
	source, err := a.sourceAt(ctx, u, name)
	if err != nil {
		return nil, err
	}
	l, err := a.loader(name, source, repo.NewMemoryCache(data))
	return &repo.Mirror{Source: source, Loader: l}, err
}

// mirrorName is the collection that lies at a path, own by its own root: what
// another program has made does not say, and is called as somebody wishes, or else
// by the last part of the path.
func mirrorName(at, own, as string) (string, error) {
	at = strings.Trim(at, "/")
	switch {
	case own != "" && as != "" && as != own:
		return "", usage("leave out --as", "--as %s: it is signed as %s, and no client takes it for another", as, own)
	case own != "" && as == "" && !strings.HasSuffix("/"+at, "/"+own):
		return "", usage("correct the URL, or add --as "+own, "the root is of %s, and the URL of the source ends otherwise", own)
	case own != "":
		return own, nil
	case as == "":
		if as = path.Base(at); repo.CheckCollection(as) != nil {
			return "", usage("add --as NAME, for example --as example.com/scripts", "the URL of the source does not end with what can be its name in the mirror")
		}
	}
	return as, repo.CheckCollection(as)
}

// sourceAt reads a collection whose metadata/ and targets/ lie at a URL, whatever
// it is called there.
func (a *app) sourceAt(ctx context.Context, u *url.URL, name string) (storage.Getter, error) {
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	if u.Scheme == "https" || u.Scheme == "http" {
		source, err := a.webSource(a.layers(name, trust.Settings{}), u.String())
		return nameless{source, name + "/"}, err
	}
	store, err := a.openStore(ctx, u.String())
	return nameless{store, name + "/"}, err
}

// nameless is the objects of one collection that lie where their keys begin with
// what follows its name.
type nameless struct {
	storage.Getter
	name string // ends in a slash
}

func (s nameless) Get(ctx context.Context, key string) (storage.Object, error) {
	return s.Getter.Get(ctx, strings.TrimPrefix(key, s.name))
}
