package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

// pin is what the configuration demands of the roots of a collection, nil for
// nothing.
func (a *app) pin(name string) (*repo.Pin, error) {
	rule := a.config.Rule(name)
	if rule == nil || !rule.Pins() {
		return nil, nil
	}
	pin := &repo.Pin{Roots: rule.Roots, Keys: rule.Keys, Threshold: rule.Threshold}
	if rule.CA == "" {
		return pin, nil
	}
	var err error
	pin.CAs, err = certPool(rule.CA, "correct ca in "+a.config.Path+": a file with certificates in PEM form")
	return pin, err
}

// shownRule is the rule of the configuration for a collection, in words, and
// where it stands.
func (a *app) shownRule(name string) setting {
	rule := a.config.Rule(name)
	if rule == nil {
		return setting{}
	}
	var parts []string
	for _, hash := range rule.Roots {
		parts = append(parts, "root "+hash)
	}
	if len(rule.Keys) > 0 {
		parts = append(parts, fmt.Sprintf("%d of keys %s", rule.Threshold, strings.Join(rule.Keys, " ")))
	}
	if rule.CA != "" {
		parts = append(parts, "ca "+rule.CA)
	}
	if rule.TOFU != nil {
		parts = append(parts, fmt.Sprintf("tofu %v", *rule.TOFU))
	}
	return setting{strings.Join(parts, ", "), fmt.Sprintf("%s:%d (%s)", a.config.Path, rule.Line, rule.Pattern)}
}

// loader reads a collection as its readers do.
func (a *app) loader(name string, source storage.Getter, cache repo.Cache) (*repo.Loader, error) {
	pin, err := a.pin(name)
	return &repo.Loader{Source: source, Collection: name, Cache: cache, Now: a.now(), Pin: pin}, err
}

// checkPinned refuses a root with which a collection is to begin here, if the
// configuration demands another. Nothing is asked.
func (a *app) checkPinned(name string, root *tuf.File[tuf.Root]) error {
	_, err := a.follow(context.Background(), name, storage.NewMemory(), root)
	return err
}

// follow is what will be remembered of a collection that is trusted from a root
// on: this one and, where pins have to be checked, those before and after it. The
// source may be nil.
func (a *app) follow(ctx context.Context, name string, source storage.Getter, root *tuf.File[tuf.Root]) (repo.Cache, error) {
	cache := repo.NewMemoryCache(root.Bytes())
	if err := putRoot(cache, root); err != nil {
		return nil, err
	}
	if source == nil {
		source = storage.NewMemory()
	}
	l, err := a.loader(name, source, cache)
	if err != nil || l.Pin == nil {
		return cache, err
	}
	_, err = l.Roots(ctx)
	return cache, err
}

// copyRoots copies the newest root, and those that led to it.
func copyRoots(from, to repo.Cache) error {
	data, err := from.Get(rootFile)
	if err != nil {
		return err
	}
	newest, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err != nil {
		return err
	}
	for n := newest.Signed.Version; n > max(0, newest.Signed.Version-2*maxRoots); n-- {
		name := repo.SlotName(tuf.RoleRoot, n)
		if data, err := from.Get(name); err == nil {
			if err := to.Put(name, data); err != nil {
				return err
			}
		}
	}
	return to.Put(rootFile, data)
}

// mayTrust reports whether the configuration lets a collection be trusted
// without a word of the user: because it pins its roots, or allows the first.
func (a *app) mayTrust(name string) bool {
	rule := a.config.Rule(name)
	return rule != nil && (rule.Pins() || rule.TOFU != nil && *rule.TOFU)
}

// checkTOFU refuses to trust whatever comes first where the configuration does.
func (a *app) checkTOFU(name string) error {
	rule := a.config.Rule(name)
	switch {
	case rule == nil || rule.TOFU != nil && *rule.TOFU:
		return nil
	case rule.Pins():
		return usage("leave out --tofu", "the configuration pins the roots of %s, %s", name, a.shownRule(name).from)
	case rule.TOFU == nil:
		return nil
	}
	err := fmt.Errorf("trust on first use is not allowed for %s, %s", name, a.shownRule(name).from)
	return &cliError{err: err, hint: fmt.Sprintf("publisher trust add %s --root FILE, or --sha256 HASH", name), code: exitVerification}
}

// trusting is known, for those who read: what is not known yet may be trusted
// if the configuration says how.
func (a *app) trusting(ctx context.Context, name string) (*trust.Collection, trust.Settings, error) {
	c, err := a.collection(name)
	if err != nil {
		return nil, trust.Settings{}, err
	}
	if _, err := c.Settings(); errors.Is(err, fs.ErrNotExist) && a.mayTrust(name) {
		root, err := a.addTrust(ctx, name, trustAddOptions{})
		if err != nil {
			return nil, trust.Settings{}, err
		}
		a.infof("%s is trusted from now on: root %d, SHA-256 %s, by %s", name, root.Version, root.SHA256, a.shownRule(name).from)
	}
	return a.known(name)
}
