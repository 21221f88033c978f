package repo_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestProperty runs random sequences of commands, by several processes with
// caches of their own, of which any request may fail or be overtaken by another
// process. After each, check is clean and a newcomer sees what was acknowledged.
func TestProperty(t *testing.T) {
	t.Parallel()
	steps := 10
	if testing.Short() {
		steps = 4
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := newProperty(t, rt)
		for range rapid.IntRange(1, steps).Draw(rt, "steps") {
			p.step(rt)
		}
	})
}

// A state is the targets of a collection, content by name; nil if it is not
// published.
type state map[string]string

// property is a collection and what is known of it.
type property struct {
	*world
	caches []memoryCache
	model  state
}

func newProperty(t *testing.T, rt *rapid.T) *property {
	p := &property{world: newWorld(t)}
	if rapid.Bool().Draw(rt, "published") {
		p.mustPublish()
		p.delegate("targets", "ci", "ci/*")
		p.model = state{}
	}
	for range 3 {
		p.caches = append(p.caches, p.newCache())
	}
	return p
}

// A command is one that a process runs, and what it does to the state.
type command struct {
	name  string
	run   func(*world) error
	apply func(state) state
}

// draw draws a command. A collection that is not published can be published
// only.
func (p *property) draw(rt *rapid.T) command {
	if p.model == nil || rapid.IntRange(0, 3).Draw(rt, "command") > 0 {
		return p.drawPublish(rt)
	}
	force := rapid.Bool().Draw(rt, "force")
	return command{
		name:  fmt.Sprintf("refresh, force %v", force),
		run:   refreshing(force),
		apply: func(s state) state { return s },
	}
}

func (p *property) drawPublish(rt *rapid.T) command {
	names := []string{"a", "b", "dir/c"}
	if p.model != nil && p.published("ci") {
		names = append(names, "ci/x", "ci/y")
	}
	var changes []repo.Change
	var did []string
	for range rapid.IntRange(0, 3).Draw(rt, "changes") {
		name := rapid.SampledFrom(names).Draw(rt, "name")
		c := remove(name)
		if content := rapid.SampledFrom([]string{"-", "", "1", "2"}).Draw(rt, "content"); content != "-" {
			c = add(name, content)
		}
		if strings.HasPrefix(name, "ci/") {
			c = in("ci", c)
		}
		changes = append(changes, c)
		did = append(did, fmt.Sprintf("%s %s %s", c.Action, c.Name, c.Source))
	}
	return command{name: fmt.Sprintf("publish %q", did), run: publishing(changes...), apply: func(s state) state {
		after := state{}
		maps.Copy(after, s)
		for _, c := range changes {
			if delete(after, c.Name); c.Action == repo.Add {
				after[c.Name] = c.Target.Hashes["sha256"][:4]
			}
		}
		return after
	}}
}

// published reports whether the collection has a role.
func (p *property) published(role string) bool {
	_, ok := p.newcomer().Snapshot.Signed.Meta[role+".json"]
	return ok
}

// newcomer is what somebody sees who was never there, expired or not.
func (p *property) newcomer() *repo.View {
	l := &repo.Loader{Source: p.store, Collection: collection, Cache: p.newCache(), Now: p.now, IgnoreExpiry: true}
	v, err := l.Load(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// step lets time pass and runs one command, with what may happen to it.
func (p *property) step(rt *rapid.T) {
	p.now = p.now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 26, 200}).Draw(rt, "hours")) * time.Hour)
	c := p.draw(rt)
	var err error
	allowed := []state{p.model, c.apply(p.model)}
	switch rapid.SampledFrom([]string{"nothing", "fault", "other"}).Draw(rt, "happens") {
	case "nothing":
		err = c.run(p.process(rt, p.store))
		allowed = allowed[1:]
	case "fault":
		err = c.run(p.process(rt, storagetest.NewFaults(p.store, p.drawFault(rt)).Store()))
		if err == nil {
			allowed = allowed[1:]
		}
		if errors.Is(err, storagetest.ErrInjected) || errors.Is(err, storagetest.ErrKilled) {
			err = nil
		}
	case "other":
		other, ran := p.draw(rt), false
		err = c.run(p.process(rt, p.overtaken(rt, other, &ran)))
		if allowed = allowed[1:]; ran {
			c.name += ", overtaken by " + other.name
			allowed = eitherOrder(c.apply(other.apply(p.model)), other.apply(c.apply(p.model)))
		}
	}
	if err != nil {
		rt.Fatalf("%s: %v", c.name, err)
	}
	p.look(rt, c.name, allowed)
}

// eitherOrder is what two commands may lead to that ran at once. Each role has
// one order. Two roles may have two: a change that did nothing when it was
// planned is not planned again because another role has moved.
func eitherOrder(a, b state) []state {
	mixed := func(targets, ci state) state {
		s := state{}
		for name, sum := range targets {
			if !strings.HasPrefix(name, "ci/") {
				s[name] = sum
			}
		}
		for name, sum := range ci {
			if strings.HasPrefix(name, "ci/") {
				s[name] = sum
			}
		}
		return s
	}
	return []state{a, b, mixed(a, b), mixed(b, a)}
}

// process is one of the processes, new or one that has been there before.
func (p *property) process(rt *rapid.T, s storage.Store) *world {
	return p.with(p.t, s, p.caches[rapid.IntRange(0, len(p.caches)-1).Draw(rt, "process")])
}

func (p *property) drawFault(rt *rapid.T) func(storagetest.Request) storagetest.Fault {
	n := rapid.IntRange(1, 8).Draw(rt, "n")
	if rapid.Bool().Draw(rt, "read") {
		return onNth(rapid.SampledFrom([]string{"GET", "STAT"}).Draw(rt, "method"), n, storagetest.Lost)
	}
	return storagetest.OnPut(n, rapid.SampledFrom([]storagetest.Fault{
		storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain, storagetest.Killed,
	}).Draw(rt, "fault"))
}

// overtaken is the store as one sees it who is overtaken by a whole other
// command before one of its requests.
func (p *property) overtaken(rt *rapid.T, other command, ran *bool) storage.Store {
	n := rapid.IntRange(1, 10).Draw(rt, "before request")
	w := p.process(rt, p.store)
	w.now = w.now.Add(time.Second)
	return storagetest.NewFaults(p.store, func(r storagetest.Request) storagetest.Fault {
		if r.N == n {
			*ran = true
			if err := other.run(w); err != nil {
				rt.Errorf("%s, in between: %v", other.name, err)
			}
		}
		return storagetest.None
	}).Store()
}

// look compares the collection with the states that are allowed.
func (p *property) look(rt *rapid.T, after string, allowed []state) {
	v := p.newcomer()
	var got state
	if v.Published() {
		all, err := v.List(p.t.Context())
		if err != nil {
			rt.Fatalf("after %s: %v", after, err)
		}
		got = state{}
		for _, t := range all {
			got[t.Name] = t.Hashes["sha256"][:4]
		}
		for _, line := range p.check() {
			if !strings.Contains(line, "it expired at") {
				rt.Errorf("after %s: check: %s", after, line)
			}
		}
	}
	for _, s := range allowed {
		if cmp.Equal(s, got) {
			p.model = got
			return
		}
	}
	rt.Fatalf("after %s: got %v, want one of %v", after, got, allowed)
}
