package main

import (
	"context"
	"fmt"
	"strings"

	"publisher/repo"
	"publisher/storage"
)

// A pruning is the part of a run of mirror that removes. Without a pruner there is
// nothing to it.
type pruning struct {
	app     *app
	pruner  *repo.Pruner
	garbage repo.Garbage
}

// planPrune finds what is to be removed from a mirror.
func (a *app) planPrune(ctx context.Context, m *repo.Mirror, view *repo.View, from, to, keep string) (*pruning, error) {
	long, err := parseLifetime(keep)
	if err != nil {
		return nil, usage("--keep 30d", "--keep: %w", err)
	}
	if long < repo.MinKeep {
		return nil, usage("--keep 30d", "--keep %s is less than two days: updates may take that long", keep)
	}
	name := m.Loader.Collection
	if err := a.checkNotOwn(name, from, to); err != nil {
		return nil, err
	}
	if _, ok := m.Store.(storage.Deleter); !ok {
		return nil, usage("remove it by the means of that store", "the store cannot delete objects")
	}
	p := &pruning{app: a, pruner: &repo.Pruner{Store: m.Store, Collection: name, Now: a.now(), Told: a.flags.now != "", Keep: long}}
	defer a.wait("looking for what the mirror needs no more")()
	p.garbage, err = p.pruner.Find(ctx, view)
	return p, err
}

// checkNotOwn refuses the place where a collection is published: who publishes
// there may rely on what looks like garbage, and only gc makes them wait.
func (a *app) checkNotOwn(name, from, to string) error {
	s, err := a.trust.Collection(name).Settings()
	if err != nil {
		return nil // it is not known here
	}
	own := strings.TrimRight(a.placed(name, s).Store, "/") == strings.TrimRight(to, "/")
	if own && (from == name || a.publishes(name)) {
		return usage("publisher gc "+name, "%s is where %s is published, and no mirror of it", shownStore(to), name)
	}
	return nil
}

// keys is what is to be removed, below the collection.
func (p *pruning) keys() []string {
	var keys []string
	for _, e := range p.garbage {
		keys = append(keys, strings.TrimPrefix(e.Key, p.pruner.Collection+"/"))
	}
	return keys
}

// ask has the user agree to what is removed, before anything is copied.
func (p *pruning) ask(name, to string) error {
	if len(p.garbage) == 0 {
		return nil
	}
	return p.app.insist(fmt.Sprintf("copy %s, and remove %s from %s, %s?", name, counted(len(p.garbage), "object"), shownStore(to), counted(int(p.garbage.Bytes()), "byte")))
}

// remove removes what was found, as far as the copy does not need it.
func (p *pruning) remove(ctx context.Context, view *repo.View) (int, error) {
	if len(p.garbage) == 0 {
		return 0, nil
	}
	advance, finish := p.app.progressOf("removing", len(p.garbage))
	defer finish()
	p.pruner.Removing = advance
	return p.pruner.Remove(ctx, view, p.garbage)
}
