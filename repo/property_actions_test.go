package repo_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is what people do.

// draw draws a deed.
func (c *crowd) draw(rt *rapid.T) *deed {
	deeds := []func(*rapid.T) *deed{
		c.drawPublish, c.drawPublish, c.drawPublish, c.drawPublish, c.drawPublish,
		c.drawRotation, c.drawRefresh, c.drawCollection, c.drawRenewal,
	}
	if len(c.drafts) > 0 && rapid.Bool().Draw(rt, "goes on with a draft") {
		return c.drawSigning(rt)
	}
	return rapid.SampledFrom(deeds).Draw(rt, "deed")(rt)
}

func (c *crowd) drawPerson(rt *rapid.T) *person {
	return rapid.SampledFrom(c.people).Draw(rt, "person")
}

// drawRefresh has the signer sign snapshot and timestamp again.
func (c *crowd) drawRefresh(rt *rapid.T) *deed {
	return c.refreshes(rapid.Bool().Draw(rt, "force"))
}

func (c *crowd) refreshes(force bool) *deed {
	again := func(*rapid.T) *deed { return c.refreshes(force) }
	return &deed{again: again, name: fmt.Sprintf("refresh, force %v", force), after: c.model, ends: []string{"done"}, run: func(s storage.Store) error {
		_, err := c.at(c.signer, s).refresh(force)
		return err
	}}
}

// drawCollection has an owner collect garbage.
func (c *crowd) drawCollection(rt *rapid.T) *deed {
	return c.collects(rapid.SampledFrom(c.people[:2]).Draw(rt, "owner"))
}

func (c *crowd) collects(owner *person) *deed {
	again := func(*rapid.T) *deed { return c.collects(owner) }
	return &deed{again: again, name: owner.name + " collects garbage", after: c.model, ends: []string{"done"}, gc: true, run: func(s storage.Store) error {
		c.collected = c.now
		collector := c.at(owner, s).collector()
		collector.Renew = c.at(c.signer, s).collector().Renew
		found, err := collector.Find(c.t.Context())
		if err == nil {
			_, err = collector.Remove(c.t.Context(), found)
		}
		return err
	}}
}

// drawRenewal has somebody sign again what is due, as far as their keys go.
func (c *crowd) drawRenewal(rt *rapid.T) *deed {
	return c.renews(rt, c.drawPerson(rt))
}

func (c *crowd) renews(rt *rapid.T, p *person) *deed {
	d := &deed{
		name: p.name + " publishes nothing", again: func(rt *rapid.T) *deed { return c.renews(rt, p) }, after: c.model, grace: true,
		ends: []string{"done", "threshold", "draft", c.expired(rt)},
		run: func(s storage.Store) error {
			_, err := c.publisher(p, s).Publish(c.t.Context(), nil)
			return err
		},
	}
	mine := slices.Collect(maps.Keys(p.ring))
	for role := range c.model.Books {
		n, by := c.notes[role], c.model.deciding(role)
		if c.now.Before(n.expires.Add(-365 * 24 * time.Hour / 3)) {
			continue
		}
		switch {
		case n.waiting: // whoever delegates to it makes it anew
			d.perhaps = append(d.perhaps, role, above(role))
		case held(mine, by.Keys) >= by.Threshold:
			d.changed = append(d.changed, role)
		}
	}
	return d
}

// expired is how a publish ends that would succeed if root were not so old.
func (c *crowd) expired(rt *rapid.T) string {
	if c.now.Before(c.newest(rt).Root().Signed.Expires) {
		return "done"
	}
	return "rejected"
}

// drawPublish has somebody publish a few changes, which they may or may not have
// the keys for.
func (c *crowd) drawPublish(rt *rapid.T) *deed {
	p := c.drawPerson(rt)
	var changes []repo.Change
	for range rapid.IntRange(1, 3).Draw(rt, "changes") {
		changes = append(changes, c.drawChange(rt, p))
	}
	return c.publishes(rt, p, changes)
}

func (c *crowd) publishes(rt *rapid.T, p *person, changes []repo.Change) *deed {
	v := c.model.publish(changes, p.ring, c.notes)
	d := &deed{
		again: func(rt *rapid.T) *deed { return c.publishes(rt, p, changes) },
		name:  fmt.Sprintf("%s publishes %s", p.name, c.tell(changes)),
		ends:  []string{v.Kind}, after: v.after, changed: v.changed, grace: slices.Contains(v.changed, tuf.RoleTargets),
		run: func(s storage.Store) error {
			_, err := c.publisher(p, s).Publish(c.t.Context(), changes)
			return err
		},
	}
	if d.after == nil {
		d.after = c.model
	}
	if v.Kind == "done" && len(v.changed) > 0 {
		d.ends = []string{c.expired(rt)}
	}
	var needs []deciding
	for _, role := range v.changed {
		if !slices.Contains(v.started, role) {
			needs = append(needs, v.after.deciding(role))
		}
	}
	d.draft = c.keep(p, openDraft{roles: v.changed, needs: needs, after: v.after, changes: changes})
	return d
}

// tell names changes with what matters of them.
func (c *crowd) tell(changes []repo.Change) string {
	var all []string
	for _, change := range changes {
		text := fmt.Sprintf("%s in %s %q", change, change.Role, change.Source)
		if d := change.Delegation; d != nil {
			text += fmt.Sprintf(" +%d -%d keys, +%q -%q, threshold %d", len(d.Keys), len(d.RemoveKeys), d.Paths, d.RemovePaths, d.Threshold)
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func (c *crowd) drawChange(rt *rapid.T, p *person) repo.Change {
	kind := rapid.SampledFrom([]string{"target", "target", "target", "target", "grant", "grant", "grant", "witness"}).Draw(rt, "kind")
	switch kind {
	case "target":
		return c.drawTarget(rt, p)
	case "grant":
		return c.drawGrant(rt)
	}
	return witness(c.drawRole(rt, p))
}

// drawRole draws a role, mostly one that a person has keys of.
func (c *crowd) drawRole(rt *rapid.T, p *person) string {
	var mine []string
	for _, role := range slices.Sorted(maps.Keys(c.model.Books)) {
		if held(slices.Collect(maps.Keys(p.ring)), c.model.deciding(role).Keys) > 0 {
			mine = append(mine, role)
		}
	}
	if len(mine) > 0 && !c.seldom(rt) {
		return rapid.SampledFrom(mine).Draw(rt, "role")
	}
	return rapid.SampledFrom([]string{tuf.RoleTargets, "ci", "rel", "ci.s"}).Draw(rt, "role")
}

// drawTarget draws a change of a target, mostly one that the role may list.
func (c *crowd) drawTarget(rt *rapid.T, p *person) repo.Change {
	role := c.drawRole(rt, p)
	names := bookNames[:len(bookNames)-1]
	if chain, ok := c.model.chain(role); ok && !c.seldom(rt) {
		inside := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return outside(chain, name) })
		if len(inside) > 0 {
			names = inside
		}
	}
	name := rapid.SampledFrom(names).Draw(rt, "name")
	content := rapid.SampledFrom(append(bookContents, "-")).Draw(rt, "content")
	if content == "-" {
		return in(role, remove(name))
	}
	return in(role, add(name, content))
}

// grantPaths is the paths that delegations get.
var grantPaths = []string{"ci/*", "ci/s/*", "rel/*", "*"}

// drawGrant draws a change of a delegation.
func (c *crowd) drawGrant(rt *rapid.T) repo.Change {
	role := rapid.SampledFrom([]string{"ci", "ci", "rel", "ci.s"}).Draw(rt, "role")
	if _, ok := c.model.chain(above(role)); !ok && !c.seldom(rt) {
		role = "ci"
	}
	if i := c.model.grant(role); i >= 0 && !c.seldom(rt) {
		return c.drawEdit(rt, role, c.model.Books[above(role)].Grants[i])
	}
	d := &repo.DelegationChange{
		Paths: rapid.SliceOfNDistinct(rapid.SampledFrom(grantPaths), 1, 3, rapid.ID).Draw(rt, "paths"),
		Keys:  c.drawKeys(rt, rapid.IntRange(1, 3).Draw(rt, "keys")),
	}
	d.Threshold = rapid.Int64Range(0, int64(len(d.Keys))).Draw(rt, "threshold")
	switch {
	case !c.seldom(rt):
	case rapid.Bool().Draw(rt, "no paths"):
		d.Paths = nil
	default:
		d.Threshold = int64(len(d.Keys)) + 1
	}
	if rapid.Bool().Draw(rt, "terminating") {
		yes := true
		d.Terminating = &yes
	}
	return granting(repo.Add, role, d)
}

// seldom is for what cannot be published.
func (c *crowd) seldom(rt *rapid.T) bool { return rapid.IntRange(0, 9).Draw(rt, "seldom") == 9 }

func granting(action repo.Action, role string, d *repo.DelegationChange) repo.Change {
	return repo.Change{ID: role, Action: action, Type: repo.TypeDelegation, Role: role, Delegation: d}
}

// drawEdit draws a change of a delegation that is there.
func (c *crowd) drawEdit(rt *rapid.T, role string, g grant) repo.Change {
	d := &repo.DelegationChange{}
	switch rapid.SampledFrom([]string{"key", "keys", "paths", "threshold", "terminating", "drop"}).Draw(rt, "edit") {
	case "key": // of somebody, in place of another
		d.Keys = c.drawKeys(rt, 1)
		d.RemoveKeys = []string{rapid.SampledFrom(g.By.Keys).Draw(rt, "key")}
	case "keys":
		d.Keys = c.drawKeys(rt, rapid.IntRange(0, 1).Draw(rt, "more"))
		d.RemoveKeys = rapid.SliceOfNDistinct(rapid.SampledFrom(g.By.Keys), 0, len(g.By.Keys), rapid.ID).Draw(rt, "fewer")
	case "paths":
		d.Paths = rapid.SliceOfNDistinct(rapid.SampledFrom(grantPaths), 0, 2, rapid.ID).Draw(rt, "more paths")
		d.RemovePaths = rapid.SliceOfNDistinct(rapid.SampledFrom(grantPaths), 0, 2, rapid.ID).Draw(rt, "fewer paths")
	case "threshold":
		d.Threshold = rapid.Int64Range(1, int64(len(g.By.Keys))).Draw(rt, "threshold")
	case "terminating":
		other := !g.Terminating
		d.Terminating = &other
	case "drop":
		return dropping(role)
	}
	return granting(rapid.SampledFrom([]repo.Action{repo.Add, repo.Update}).Draw(rt, "action"), role, d)
}

// drawKeys draws keys of n different people, new ones or ones that they have.
func (c *crowd) drawKeys(rt *rapid.T, n int) []tuf.Key {
	var keys []tuf.Key
	for _, p := range rapid.Permutation(c.people).Draw(rt, "people")[:n] {
		keys = append(keys, c.drawKey(rt, p))
	}
	return keys
}

func (c *crowd) drawKey(rt *rapid.T, p *person) tuf.Key {
	if len(p.keys) == 0 || rapid.Bool().Draw(rt, "a new key") {
		return c.newKey(p)
	}
	return rapid.SampledFrom(p.keys).Draw(rt, "key")
}

// drawRotation has somebody replace the keys of a top-level role, or make a root
// that lasts longer.
func (c *crowd) drawRotation(rt *rapid.T) *deed {
	p := rapid.SampledFrom(append(c.people, c.people[:2]...)).Draw(rt, "person")
	r := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: repo.DefaultGrace, After: c.notes[tuf.RoleRoot].version}
	if role := rapid.SampledFrom(append(tuf.TopLevel, "")).Draw(rt, "role"); role != "" {
		r.Roles[role] = c.drawSigners(rt, role)
	}
	return c.rotates(p, r)
}

func (c *crowd) rotates(p *person, r repo.Rotation) *deed {
	d := &deed{
		name: fmt.Sprintf("%s rotates %q", p.name, slices.Collect(maps.Keys(r.Roles))), after: c.model.clone(),
		again: func(*rapid.T) *deed { return c.rotates(p, r) },
		run: func(s storage.Store) error {
			c.rotated = c.now
			_, err := c.publisher(p, s).Rotate(c.t.Context(), r)
			return err
		},
	}
	for role, s := range r.Roles {
		d.after.Top[role] = decidedBy(s)
	}
	if c.notes[tuf.RoleRoot].version > r.After && cmp.Equal(d.after, c.model) {
		d.ends = []string{"done"} // it is, by an earlier run or somebody else
		return d
	}
	d.changed = []string{tuf.RoleRoot}
	needs := []deciding{c.model.Top[tuf.RoleRoot], d.after.Top[tuf.RoleRoot]}
	if _, ok := r.Roles[tuf.RoleTargets]; ok {
		d.changed, d.grace = append(d.changed, tuf.RoleTargets), true
		needs = append(needs, c.model.Top[tuf.RoleTargets], d.after.Top[tuf.RoleTargets])
	}
	d.ends = []string{ends(p.ring, needs, needs[:2])}
	d.draft = c.keep(p, openDraft{roles: d.changed, needs: needs, after: d.after})
	return d
}

func decidedBy(s repo.Signers) deciding {
	by := deciding{Threshold: int(s.Threshold)}
	for _, key := range s.Keys {
		by.Keys = append(by.Keys, key.ID())
	}
	slices.Sort(by.Keys)
	return by
}

// ends is how it ends if somebody signs with some keys what others may have to
// sign, too: without a signature of the first ones nothing begins.
func ends(ring forge.Ring, needs, first []deciding) string {
	mine := slices.Collect(maps.Keys(ring))
	switch {
	case met(mine, needs):
		return "done"
	case slices.ContainsFunc(first, func(by deciding) bool { return held(mine, by.Keys) > 0 }):
		return "draft"
	}
	return "threshold"
}

func met(keys []string, needs []deciding) bool {
	return !slices.ContainsFunc(needs, func(by deciding) bool { return held(keys, by.Keys) < by.Threshold })
}

// drawSigners draws who is to sign for a top-level role.
func (c *crowd) drawSigners(rt *rapid.T, role string) repo.Signers {
	var s repo.Signers
	if role == tuf.RoleSnapshot || role == tuf.RoleTimestamp {
		for range rapid.IntRange(1, 2).Draw(rt, "keys") {
			s.Keys = append(s.Keys, c.newKey(c.signer))
		}
	} else {
		for _, p := range rapid.SampledFrom([][]*person{c.people[:2], c.people[:1], c.people[1:2]}).Draw(rt, "owners") {
			s.Keys = append(s.Keys, c.drawKey(rt, p))
		}
	}
	s.Threshold = rapid.Int64Range(1, int64(len(s.Keys))).Draw(rt, "threshold")
	return s
}

// An openDraft is a draft, and what is known of it.
type openDraft struct {
	*repo.Draft
	changes []repo.Change // that were published; nil for a rotation
	roles   []string
	needs   []deciding
	keys    []string // that have signed
	after   *model
	done    bool // it is published

	at     time.Time
	notes  map[string]note
	faults int
}

// keep remembers a draft that somebody has begun.
func (c *crowd) keep(p *person, o openDraft) func(*repo.Draft) {
	return func(d *repo.Draft) {
		o.Draft, o.keys = d, slices.Collect(maps.Keys(p.ring))
		o.at, o.notes, o.faults = c.now, c.notes, c.faults
		c.drafts = append(c.drafts, &o)
		c.drafts = c.drafts[max(0, len(c.drafts)-3):]
	}
}

// drawSigning has somebody sign a draft that has come to them as a file, and
// publish it if that was the last signature. As long as nothing else happens,
// they may as well publish the same changes.
func (c *crowd) drawSigning(rt *rapid.T) *deed {
	o, p := rapid.SampledFrom(c.drafts).Draw(rt, "draft"), c.drawPerson(rt)
	if c.untouched(rt, o) && !o.done && o.changes != nil && rapid.Bool().Draw(rt, "publishes the same") {
		return c.joins(rt, p, o)
	}
	return c.signs(rt, p, o)
}

func (c *crowd) signs(rt *rapid.T, p *person, o *openDraft) *deed {
	keys := append(slices.Collect(maps.Keys(p.ring)), o.keys...)
	after, changed := c.merged(o), o.roles
	if o.done {
		after, changed = c.model, nil
	}
	return &deed{
		name:  fmt.Sprintf("%s signs the draft of %q", p.name, o.roles),
		after: after, changed: changed, grace: slices.Contains(o.roles, tuf.RoleTargets),
		ends:  c.draftEnds(rt, o, met(keys, o.needs)),
		again: func(rt *rapid.T) *deed { return c.signs(rt, p, o) },
		run:   func(s storage.Store) error { return c.sign(p, o, s) },
		draft: func(signed *repo.Draft) { o.Draft, o.keys = signed, keys },
		done:  func() { o.done = true },

		numbered: true,
	}
}

// joins is signs by a publish of the same changes.
func (c *crowd) joins(rt *rapid.T, p *person, o *openDraft) *deed {
	d := c.signs(rt, p, o)
	d.name = fmt.Sprintf("%s publishes the draft of %s", p.name, c.tell(o.changes))
	d.run = func(s storage.Store) error {
		publisher := c.publisher(p, s)
		publisher.Drafts = []*repo.Draft{o.Draft}
		_, err := publisher.Publish(c.t.Context(), o.changes)
		var draft *repo.DraftError
		if errors.As(err, &draft) && draft.Draft.ID() != o.ID() {
			return errors.New("it has become another draft")
		}
		return err
	}
	d.again = func(rt *rapid.T) *deed {
		again, keep := c.publishes(rt, p, o.changes), d.draft
		again.ends = append(again.ends, "done", "other") // it still joins, or not
		again.ends = append(again.ends, movedOn...)
		again.draft = func(signed *repo.Draft) {
			if signed.ID() == o.ID() {
				keep(signed)
			}
		}
		return again
	}
	return d
}

// merged is what the collection says when a draft is published.
func (c *crowd) merged(o *openDraft) *model {
	m := c.model.clone()
	for _, role := range o.roles {
		if role == tuf.RoleRoot {
			m.Top = o.after.Top
		} else {
			m.Books[role] = o.after.Books[role]
		}
	}
	m.prune()
	return m
}

// draftEnds is how it may end to sign a draft. Where nothing has happened since
// it was made, there is one way.
func (c *crowd) draftEnds(rt *rapid.T, o *openDraft, complete bool) []string {
	end := "draft"
	if complete {
		end = "done"
	}
	switch {
	case o.done && c.collected.Before(o.at):
		return []string{"published"}
	case o.done:
		return []string{"published", "stale"}
	case c.untouched(rt, o):
		return []string{end}
	}
	return slices.Clone(movedOn)
}

// movedOn is how it may end to sign a draft that others have overtaken. They may
// have changed by whom, or by how many, it is to be signed.
var movedOn = []string{"done", "draft", "stale", "rejected", "burned", "published"}

// untouched reports whether nothing has happened since a draft was made.
func (c *crowd) untouched(rt *rapid.T, o *openDraft) bool {
	return maps.EqualFunc(o.notes, c.notes, func(a, b note) bool { return a.version == b.version }) &&
		o.faults == c.faults && c.collected.Before(o.at) && c.now.Sub(o.at) < 24*time.Hour && c.expired(rt) == "done"
}

func (c *crowd) sign(p *person, o *openDraft, s storage.Store) error {
	data, err := o.Encode()
	if err != nil {
		return err
	}
	draft, err := repo.ParseDraft(data)
	if err != nil {
		return err
	}
	if draft.Files[tuf.RoleRoot] != nil {
		c.rotated = c.now
	}
	publisher := c.publisher(p, s)
	l := &repo.Loader{Source: s, Collection: collection, Cache: publisher.Cache, Now: c.now, IgnoreExpiry: true, TimestampFirst: true}
	v, err := l.Load(c.t.Context())
	if err != nil {
		return err
	}
	r, err := v.Review(c.t.Context(), draft, s, c.now)
	var half *repo.HalfError
	if errors.As(err, &half) {
		_, err = publisher.Commit(c.t.Context(), nil, half.Rest)
		return err
	}
	if err != nil {
		return err
	}
	if _, err := r.Sign(c.t.Context(), p.ring, ""); err != nil {
		return err
	}
	_, err = publisher.PublishDraft(c.t.Context(), r)
	return err
}
