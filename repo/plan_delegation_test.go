package repo_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// delegating is a change that gives a role keys and paths.
func delegating(role string, threshold int64, keys []tuf.Key, paths ...string) repo.Change {
	return repo.Change{
		ID: "+" + role, Action: repo.Add, Type: repo.TypeDelegation, Role: role,
		Delegation: &repo.DelegationChange{Keys: keys, Paths: paths, Threshold: threshold},
	}
}

// undelegating is a change that takes keys or paths from a role.
func undelegating(role string, keys []tuf.Key, paths ...string) repo.Change {
	d := &repo.DelegationChange{RemovePaths: paths}
	for _, key := range keys {
		d.RemoveKeys = append(d.RemoveKeys, key.ID())
	}
	return repo.Change{ID: "-" + role, Action: repo.Update, Type: repo.TypeDelegation, Role: role, Delegation: d}
}

func dropping(role string) repo.Change {
	return repo.Change{ID: "x" + role, Action: repo.Remove, Type: repo.TypeDelegation, Role: role}
}

func witness(role string) repo.Change {
	return repo.Change{ID: "w" + role, Action: repo.Update, Type: repo.TypeWitness, Role: role}
}

// as is the world of somebody who has these keys and no others, and those of
// snapshot and timestamp.
func (w *world) as(keys ...tuf.Key) *world {
	c := w.with(w.t, w.store, w.newCache())
	c.ring = forge.Ring{}
	root := w.view().Root().Signed
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		for _, id := range root.Roles[role].KeyIDs {
			c.ring[id] = w.ring[id]
		}
	}
	for _, key := range keys {
		c.ring[key.ID()] = w.ring[key.ID()]
	}
	return c
}

// hand makes keys that the world itself does not hold, and the ring of all.
func hand(t *testing.T, w *world, n int) ([]tuf.Key, *world) {
	t.Helper()
	all := *w
	all.ring = maps.Clone(w.ring)
	var made []tuf.Key
	for range n {
		made = append(made, all.ring.Generate(t))
	}
	return made, &all
}

// pulls checks what a stock client gets.
func (w *world) pulls(want map[string]string) {
	w.t.Helper()
	got, err := (&stockClient{root: w.root}).pull(w.t.Context(), w.store, w.now, slices.Sorted(maps.Keys(want)))
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Targets); diff != "" {
		w.t.Errorf("a stock client gets something else: %s", diff)
	}
}

// TestDelegate: a delegation can be published by who has none of its keys, and
// every client goes on finding what comes after it; then its people publish,
// with their keys alone.
func TestDelegate(t *testing.T) {
	for _, threshold := range []int64{1, 2} {
		w := newWorld(t)
		people, all := hand(t, w, 3)
		w.mustPublish(add("a/b", "1"), delegating("releases", threshold, people, "a/*"))
		w.pulls(map[string]string{"a/b": "1"})
		stock := &stockClient{root: w.root}
		if got, err := stock.pull(t.Context(), w.store, w.now, []string{"a/none"}); err != nil || len(got.Targets) != 0 {
			t.Errorf("a name that the delegation covers: %v, %v", got, err)
		}
		w.mustBeClean()

		delegate := all.as(people[:threshold]...)
		delegate.mustPublish(in("releases", add("a/c", "2")))
		w.pulls(map[string]string{"a/b": "1", "a/c": "2"})
		w.mustBeClean()

		// The keys that signed the empty version go with the next one of targets.
		w.mustPublish(add("x", "1"))
		top, err := w.view().Role(t.Context(), tuf.RoleTargets)
		if err != nil {
			t.Fatal(err)
		}
		if d := top.Signed.Delegations; len(d.Keys) != 3 || len(d.Roles[0].KeyIDs) != 3 || top.Signed.Publisher.Initial != nil {
			t.Errorf("threshold %d: keys are left over: %v", threshold, d)
		}
		w.mustBeClean()
	}
}

// TestDelegateEdits: what one change after another makes of a delegation.
func TestDelegateEdits(t *testing.T) {
	w := newWorld(t)
	keys, all := hand(t, w, 3)
	w.ring = all.ring
	a, b, c := keys[0].ID(), keys[1].ID(), keys[2].ID()
	yes := true
	type state struct {
		Keys, Paths []string
		Threshold   int64
		Terminating bool
	}
	w.mustPublish()
	for _, tt := range []struct {
		name    string
		changes []repo.Change
		want    map[string]state
	}{
		{"keys and paths apart", []repo.Change{delegating("r", 0, keys[:1]), delegating("r", 0, nil, "r/*")},
			map[string]state{"r": {[]string{a}, []string{"r/*"}, 1, false}}},
		{"more of both, and one that is there", []repo.Change{delegating("r", 2, keys[:2], "s/*", "r/*")},
			map[string]state{"r": {[]string{a, b}, []string{"r/*", "s/*"}, 2, false}}},
		{"below it", []repo.Change{delegating("r.x", 0, keys[2:], "r/x")},
			map[string]state{"r": {[]string{a, b}, []string{"r/*", "s/*"}, 2, false}, "r.x": {[]string{c}, []string{"r/x"}, 1, false}}},
		{"all paths, terminating", []repo.Change{{Action: repo.Add, Type: repo.TypeDelegation, Role: "r", Delegation: &repo.DelegationChange{AllPaths: true, Terminating: &yes}}},
			map[string]state{"r": {[]string{a, b}, repo.AllPaths(), 2, true}, "r.x": {[]string{c}, []string{"r/x"}, 1, false}}},
		{"other paths", []repo.Change{
			{Action: repo.Update, Type: repo.TypeDelegation, Role: "r", Delegation: &repo.DelegationChange{AllPaths: true}}, delegating("r", 1, nil, "r/*")},
			map[string]state{"r": {[]string{a, b}, []string{"r/*"}, 1, true}, "r.x": {[]string{c}, []string{"r/x"}, 1, false}}},
		{"a key less", []repo.Change{undelegating("r", keys[:1])},
			map[string]state{"r": {[]string{b}, []string{"r/*"}, 1, true}, "r.x": {[]string{c}, []string{"r/x"}, 1, false}}},
		{"gone, with what is below it", []repo.Change{dropping("r")}, map[string]state{}},
		{"again, from nothing", []repo.Change{delegating("r", 0, keys[2:], "t/*")},
			map[string]state{"r": {[]string{c}, []string{"t/*"}, 1, false}}},
	} {
		if _, err := w.publish(tt.changes...); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		all, err := w.view().Delegations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]state{}
		for _, d := range all {
			got[d.Role] = state{d.KeyIDs, d.Paths, d.Threshold, d.Terminating}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		w.mustBeClean()
	}
}

// TestDelegateRefused: what cannot be published stops before anything is
// written, and names the change.
func TestDelegateRefused(t *testing.T) {
	base := newWorld(t)
	keys, all := hand(t, base, 3)
	base.mustPublish(add("old", "1"), delegating("r", 0, keys[:1], "r/*"))
	all.as(keys[0]).mustPublish(in("r", add("r/x", "1")))
	online := base.view().Root().Signed
	snapshot := online.Keys[online.Roles[tuf.RoleSnapshot].KeyIDs[0]]
	for _, tt := range []struct {
		name    string
		changes []repo.Change
		want    string
	}{
		{"no keys", []repo.Change{delegating("n", 0, nil, "n/*")}, "add delegation targets/n: it has no keys yet"},
		{"no paths", []repo.Change{delegating("n", 0, keys[:1])}, "add delegation targets/n: it has no paths yet"},
		{"more signatures than keys", []repo.Change{delegating("n", 3, keys[:2], "n/*")}, "add delegation targets/n: threshold 3 with 2 keys"},
		{"a negative threshold", []repo.Change{delegating("n", -1, keys[:2], "n/*")}, "add delegation targets/n: threshold -1"},
		{"a key twice", []repo.Change{delegating("n", 1, append(keys[:1:1], keys[0]), "n/*")}, "is given twice"},
		{"an online key", []repo.Change{delegating("n", 1, []tuf.Key{snapshot}, "n/*")}, "serves snapshot"},
		{"a top-level role", []repo.Change{delegating("snapshot", 1, keys[:1], "n/*")}, `"snapshot" is a top-level role`},
		{"a bad name", []repo.Change{delegating("N", 1, keys[:1], "n/*")}, `role name "N"`},
		{"below nobody", []repo.Change{delegating("n.x", 1, keys[:1], "n/*")}, "no such role: targets/n"},
		{"a pattern of some clients", []repo.Change{delegating("n", 1, keys[:1], "n/[ab]")}, "only * and ? mean the same"},
		{"a recursive pattern", []repo.Change{delegating("n", 1, keys[:1], "n/**")}, "** is not recursive"},
		{"less of what is not there", []repo.Change{undelegating("n", keys[:1])}, "update delegation targets/n: no such role"},
		{"the last key", []repo.Change{undelegating("r", keys[:1])}, "update delegation targets/r: it has no keys yet"},
		{"the last path", []repo.Change{undelegating("r", nil, "r/*")}, "update delegation targets/r: it has no paths yet"},
		{"a path that targets need", []repo.Change{delegating("r", 0, nil, "s/*"), undelegating("r", nil, "r/*")}, "target r/x of targets/r lies outside the paths of targets/r: s/*"},
		{"a target of a role that goes", []repo.Change{in("r", add("r/y", "1")), dropping("r")}, "add r/y: the delegation to targets/r is removed by another staged change"},
		{"a delegation of a role that goes", []repo.Change{delegating("r.x", 1, keys[1:2], "r/*"), dropping("r")}, "add delegation targets/r/x: the delegation to targets/r is removed by another staged change"},
		{"witness of an online role", []repo.Change{witness("snapshot")}, "witness snapshot: no such role"},
		{"an unknown type", []repo.Change{{Type: "x"}}, `unknown type "x"`},
		{"nothing to change", []repo.Change{{Action: repo.Add, Type: repo.TypeDelegation, Role: "n"}}, "it does not say what to change"},
	} {
		w := tampering(t, base)
		before := objects(t, w.raw)
		_, err := w.publish(append([]repo.Change{add("good", "1")}, tt.changes...)...)
		var c *repo.ChangeError
		if !errors.As(err, &c) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v (%T), want a ChangeError with %q", tt.name, err, err, tt.want)
		}
		if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
			t.Errorf("%s: something was written: %s", tt.name, diff)
		}
	}
}

// TestRemoveKeyThatSigned: a role that loses the key that signed it is signed
// again by one that stays, in the same publish; without one, nothing happens and
// the error names the role and who could.
func TestRemoveKeyThatSigned(t *testing.T) {
	base := newWorld(t)
	keys, all := hand(t, base, 2)
	base.mustPublish(delegating("r", 0, keys, "r/*"))
	all.as(keys[0]).mustPublish(in("r", add("r/x", "1")))

	w := tampering(t, base)
	before := objects(t, w.raw)
	_, err := w.publish(undelegating("r", keys[:1]))
	var short *repo.ThresholdError
	if !errors.As(err, &short) || short.Role != "r" || !slices.Equal(short.Missing, []string{keys[1].ID()}) {
		t.Errorf("without a key that stays: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
	base.ring[keys[1].ID()] = all.ring[keys[1].ID()]
	p := base.mustPublish(undelegating("r", keys[:1]))
	if got := p.Plan.Roles[0]; got.Role != "r" || !got.Resigned || !slices.Equal(got.KeyIDs, []string{keys[1].ID()}) {
		t.Errorf("the plan says %+v", got)
	}
	base.pulls(map[string]string{"r/x": "1"})
	base.mustBeClean()
}

// TestRemoveKeyOfMany: what the keys that stay have signed stays as it is.
func TestRemoveKeyOfMany(t *testing.T) {
	w := newWorld(t)
	keys, all := hand(t, w, 2)
	w.mustPublish(delegating("r", 0, keys, "r/*"))
	all.as(keys[1]).mustPublish(in("r", add("r/x", "1")))
	p := w.mustPublish(undelegating("r", keys[:1]))
	if len(p.Plan.Roles) != 1 || p.Plan.Roles[0].Role != tuf.RoleTargets {
		t.Errorf("the plan has %v", p.Plan.Roles)
	}
	w.pulls(map[string]string{"r/x": "1"})
	w.mustBeClean()
}

// TestWitness: roles are signed again as they are, also expired ones.
func TestWitness(t *testing.T) {
	w := newWorld(t)
	key := w.ring.Generate(t)
	w.mustPublish(add("a", "1"), delegating("r", 0, []tuf.Key{key}, "r/*"), in("r", add("r/x", "1")))
	w.now = w.now.AddDate(1, 0, 1)
	w.mustPublish(witness("r"), witness(tuf.RoleTargets))
	w.pulls(map[string]string{"a": "1", "r/x": "1"})
	w.mustBeClean()
}

// TestWitnessWaiting: a role that waits for its people is started again by who
// delegates to it, together with the delegation. Its people sign it alone, and
// whoever delegates is not asked.
func TestWitnessWaiting(t *testing.T) {
	for _, people := range []bool{false, true} {
		w := newWorld(t)
		keys, all := hand(t, w, 1)
		w.mustPublish(add("a", "1"), delegating("r", 0, keys, "r/*"))
		w.now = w.now.AddDate(0, 11, 0)
		who := w
		if people {
			who = all.as(keys...)
			who.now = w.now
		}
		p := who.mustPublish(witness("r"))
		if _, above := p.Receipt.Versions[tuf.RoleTargets]; above == people || p.Receipt.Versions["r"] != 2 {
			t.Errorf("by its people: %t, versions %v", people, p.Receipt.Versions)
		}
		if _, err := who.publisher().Publish(t.Context(), nil); err != nil && !people {
			t.Error(err)
		}
		who.pulls(map[string]string{"a": "1"})
		who.mustBeClean()
	}
}

// TestRenew: a publish without changes signs what is in the last third of its
// life, as far as the keys go, and says what it could not.
func TestRenew(t *testing.T) {
	w := newWorld(t)
	keys, all := hand(t, w, 1)
	w.mustPublish(add("a", "1"), delegating("r", 0, keys, "r/*"), delegating("empty", 0, keys, "e/*"))
	delegate := all.as(keys...)
	delegate.mustPublish(in("r", add("r/x", "1")))
	if p := w.mustPublish(); p.Receipt != nil || len(p.Plan.Left) != 0 {
		t.Errorf("too early: %v", p.Plan)
	}
	w.now = w.now.Add(300 * 24 * time.Hour)
	delegate.now = w.now
	p := w.mustPublish()
	if p.Receipt == nil || len(p.Plan.Left) != 1 || p.Plan.Left[0].Role != "r" {
		t.Errorf("by the owner: receipt %v, left %v", p.Receipt, p.Plan.Left)
	}
	if p := w.mustPublish(); p.Receipt != nil || len(p.Plan.Left) != 1 {
		t.Errorf("by the owner again: receipt %v, left %v", p.Receipt, p.Plan.Left)
	}
	if p := delegate.mustPublish(); p.Receipt == nil || len(p.Plan.Left) != 0 {
		t.Errorf("by the delegate: receipt %v, left %v", p.Receipt, p.Plan.Left)
	}
	w.now = w.now.Add(100 * 24 * time.Hour)
	if _, err := w.refresh(true); err != nil {
		t.Fatal(err)
	}
	w.pulls(map[string]string{"a": "1", "r/x": "1"})
	w.mustBeClean()
}

// TestPathPatterns: what Notary's prefixes become.
func TestPathPatterns(t *testing.T) {
	for path, want := range map[string][]string{
		"a/*":     {"a/*"},
		"a?":      {"a?"},
		"a":       {"a*", "a*/*", "a*/*/*"},
		"a/":      {"a/*", "a/*/*", "a/*/*/*"},
		"a/b.txt": {"a/b.txt*", "a/b.txt*/*"},
		"":        {"*", "*/*", "*/*/*"},
	} {
		got := repo.PathPatterns(path)
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%q is %q, want first %q", path, got, want)
		}
		for _, pattern := range got {
			if strings.Count(pattern, "/") > 15 {
				t.Errorf("%q: %q is deeper than 16", path, pattern)
			}
		}
	}
	if got := len(repo.AllPaths()); got != 16 {
		t.Errorf("all paths are %d patterns", got)
	}
}

// TestVisits: no name leads a client to more roles than it asks.
func TestVisits(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	var apart, together []repo.Change
	for n := range 40 {
		key := []tuf.Key{w.ring.Generate(t)}
		apart = append(apart, delegating(fmt.Sprint("a", n), 0, key, fmt.Sprint("a", n, "/*")))
		if n < 33 {
			together = append(together, delegating(fmt.Sprint("b", n), 0, key, "b/*"))
		}
	}
	all := append(apart, delegating("every", 0, []tuf.Key{w.ring.Generate(t)}, "*/*"))
	if _, err := w.publisher().Plan(t.Context(), all); err != nil {
		t.Errorf("40 side by side, and one behind them: %v", err)
	}
	if _, err := w.publisher().Plan(t.Context(), together[:32]); err != nil {
		t.Errorf("32 for one name: %v", err)
	}
	_, err := w.publisher().Plan(t.Context(), together)
	var c *repo.ChangeError
	if !errors.As(err, &c) || !strings.Contains(err.Error(), "a lookup of b/x would ask more than 32 delegated roles") {
		t.Errorf("33 for one name: %v", err)
	}
	yes := true
	together[3].Delegation.Terminating = &yes
	if _, err := w.publisher().Plan(t.Context(), together); err != nil {
		t.Errorf("33 for one name, of which the fourth is terminating: %v", err)
	}
}

// TestDraftOfDelegation: who publishes a delegation again, while signatures for
// it are collected, keeps the draft and the keys that started its role.
func TestDraftOfDelegation(t *testing.T) {
	c := newCeremony(t)
	if _, err := c.as(0, c.mustDraft(c.as(1))).Publish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	keys, _ := hand(t, c.world, 2)
	change := delegating("r", 2, keys, "r/*")
	draft := c.mustDraft(c.as(0), change)
	if again := c.mustDraft(c.as(0, draft), change); again.ID() != draft.ID() {
		t.Error("another draft after the same publish")
	}
	if _, err := c.as(1, draft).Publish(t.Context(), []repo.Change{change}); err != nil {
		t.Fatal(err)
	}
	c.mustBeClean()
	all, err := c.view().Delegations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || !all[0].Waiting || len(all[0].KeyIDs) != 2 {
		t.Errorf("the delegations are %+v", all)
	}
	// Without the key of its delegator nobody can start a role.
	nobody := c.as(2)
	nobody.Keys = forge.Ring{}
	_, err = nobody.Publish(t.Context(), []repo.Change{delegating("s", 0, keys, "s/*")})
	if errors.As(err, new(*repo.DraftError)) || !errors.As(err, new(*repo.ThresholdError)) {
		t.Errorf("without any key: %v", err)
	}
}

// TestInitialKeys: keys that started a role are of no use for anything else, even
// to somebody who has kept them.
func TestInitialKeys(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	people, _ := hand(t, w, 1)
	kept := w.ring.Generate(t)
	start := func(targets map[string]tuf.TargetFile, version int64, parent string) *tuf.File[tuf.Targets] {
		empty := tuf.Targets{Targets: targets}
		empty.Version, empty.Expires = version, w.now.Add(time.Hour)
		empty.Publisher = tuf.Publisher{Collection: collection, Parent: parent}
		return forge.Signed(t, w.ring, empty, kept.ID())
	}
	f, err := w.view().Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	next := forge.Successor(f, w.now)
	next.Publisher.Initial = map[string][]string{"r": {kept.ID()}}
	next.Delegations = &tuf.Delegations{
		Keys:  map[string]tuf.Key{kept.ID(): kept, people[0].ID(): people[0]},
		Roles: []tuf.DelegatedRole{{Name: "r", KeyIDs: []string{people[0].ID(), kept.ID()}, Threshold: 1, Paths: []string{"r/*"}}},
	}
	top := forge.Signed(t, w.ring, next, f.Signatures[0].KeyID)
	commit := func(files map[string][]byte) error {
		_, err := w.committer().Commit(t.Context(), nil, &repo.Submission{Collection: collection, Files: files})
		return err
	}
	first := start(map[string]tuf.TargetFile{}, 1, "")
	if err := commit(map[string][]byte{tuf.RoleTargets: top.Bytes(), "r": first.Bytes()}); err != nil {
		t.Fatal(err)
	}
	err = commit(map[string][]byte{"r": start(map[string]tuf.TargetFile{"r/x": add("r/x", "1").Target}, 2, first.SHA256()).Bytes()})
	wantRejection(t, err, "r: 0 of 1 required signatures")
}

// TestMoreForWaiting: a delegation may change as long as its people have not
// published, also so that more of them are needed.
func TestMoreForWaiting(t *testing.T) {
	w := newWorld(t)
	people, all := hand(t, w, 2)
	w.mustPublish(delegating("r", 0, people, "r/*"))
	p := w.mustPublish(delegating("r", 2, nil))
	if len(p.Plan.Roles) != 2 || p.Plan.Roles[0].Resigned || len(p.Plan.Roles[0].KeyIDs) != 2 {
		t.Errorf("the plan has %+v", p.Plan.Roles)
	}
	w.mustBeClean()
	all.as(people...).mustPublish(in("r", add("r/x", "1")))
	w.pulls(map[string]string{"r/x": "1"})
}

// misnamed is a collection with a delegation that was published before its name
// counted: ci, of which it is below, delegates to releases.
func misnamed(t *testing.T) *world {
	t.Helper()
	base := family(t)
	base.delegate(tuf.RoleTargets, "releases", "ci/*")
	w := tampering(t, base)
	var d, key any
	id := ""
	w.resign(tuf.RoleTargets, func(o object) {
		all := o["delegations"].(object)
		roles := all["roles"].([]any)
		d, all["roles"] = roles[1], roles[:1]
		id = d.(object)["keyids"].([]any)[0].(string)
		key = all["keys"].(object)[id]
		delete(all["keys"].(object), id)
	})
	w.resign("ci", func(o object) {
		all := o["delegations"].(object)
		all["roles"] = append(all["roles"].([]any), d)
		all["keys"].(object)[id] = key
	})
	return w.world
}

// parents is who delegates to each role.
func (w *world) parents() map[string]string {
	w.t.Helper()
	all, err := w.view().Delegations(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	parents := map[string]string{}
	for _, d := range all {
		parents[d.Role] = d.Parent
	}
	return parents
}

// TestOtherParent: a role that another one delegates to than its name says is not
// delegated to again. It works as it is, its delegation can change, and once it is
// gone its name is free for who may give it.
func TestOtherParent(t *testing.T) {
	w := misnamed(t)
	key := w.ring.Generate(t)
	_, err := w.publish(delegating("releases", 0, []tuf.Key{key}, "ci/*"))
	if !errors.As(err, new(*repo.NameError)) || !strings.Contains(err.Error(), "targets/ci delegates to it, and by its name only targets may") {
		t.Errorf("error %v", err)
	}
	w.mustPublish(in("releases", add("ci/x", "1")))
	w.mustPublish(in("ci", add("ci/y", "2")))
	both := repo.Change{Action: repo.Update, Type: repo.TypeDelegation, Role: "releases", Delegation: &repo.DelegationChange{
		Keys: []tuf.Key{key}, Paths: []string{"ci/*/*"},
	}}
	w.mustPublish(both)
	if diff := cmp.Diff(map[string]string{"ci": "targets", "ci.deep": "ci", "releases": "ci"}, w.parents()); diff != "" {
		t.Error(diff)
	}
	w.pulls(map[string]string{"ci/x": "1", "ci/y": "2", "old": "1"})
	_, err = w.publish(both, dropping("ci"))
	if err == nil || !strings.Contains(err.Error(), "update delegation targets/releases: the delegation to targets/ci is removed") {
		t.Errorf("error %v", err)
	}
	w.mustPublish(dropping("releases"))
	w.mustPublish(delegating("releases", 0, []tuf.Key{key}, "ci/*"))
	if diff := cmp.Diff(map[string]string{"ci": "targets", "ci.deep": "ci", "releases": "targets"}, w.parents()); diff != "" {
		t.Error(diff)
	}
	w.mustBeClean()
}

// TestDropTree: who takes a delegation away and then the one above it wants both
// gone.
func TestDropTree(t *testing.T) {
	w := newWorld(t)
	key := w.ring.Generate(t)
	w.mustPublish(delegating("r", 1, []tuf.Key{key}, "r/*"), delegating("r.x", 1, []tuf.Key{key}, "r/*"))
	w.mustPublish(dropping("r.x"), dropping("r"))
	if all, err := w.view().Delegations(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left are %v, %v", all, err)
	}
	w.mustBeClean()
}
