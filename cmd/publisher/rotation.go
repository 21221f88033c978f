package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// A rotation replaces the keys of a top-level role, or of snapshot and timestamp
// where they move.
type rotation struct {
	app    *app
	c      *trust.Collection
	o      keyRotateOptions
	role   string
	before trust.Settings
	after  trust.Settings // differs if the roles move
	signer *online        // the one that has the keys, or gets them; nil if none has to do with it

	view     *repo.View      // what is published
	from     int64           // the version of root, or of the role that delegates to this one
	root     *tuf.Root       // in force
	named    map[string]bool // the IDs of all keys that roots have named so far
	turns    []turn          // what changes, by role
	upper    tuf.Role        // the keys of the role that delegates to this one
	resumed  bool            // it was begun before, with these keys
	finished bool            // and published, too
	was      trust.Rotation  // that was begun before, this one or another
	begun    trust.Rotation  // this one, as it is remembered
	bare     bool            // the command leaves open which keys come
	kind     string          // of the keys to make, as far as the command says
	against  []*draft        // open ones of other roots
	losses   []string        // what is lost with them
	made     int64           // the version of the root that was committed, 0 if none was
}

// A turn is the old and the new keys of one role.
type turn struct {
	role      string
	parent    string // the role that delegates to it, if it is a delegation
	old       tuf.Role
	keys      []tuf.Key // the new ones, as far as they are known
	make      int       // how many are made beside them, after the user has agreed
	threshold int64
	store     []pair // private halves to be stored here
}

func (r *rotation) moves() bool { return r.before.Online != r.after.Online }

// remote reports whether the new keys are the signer's.
func (r *rotation) remote() bool {
	return r.after.Online != "" && slices.Contains(onlineRoles, r.role)
}

// roles is those whose keys change.
func (r *rotation) roles() []string {
	if r.moves() || r.o.recover {
		return onlineRoles
	}
	return []string{r.role}
}

func (a *app) newRotation(ctx context.Context, c *trust.Collection, s trust.Settings, role string, o keyRotateOptions) (*rotation, error) {
	r := &rotation{app: a, c: c, o: o, role: role, before: s, after: s, bare: o.bare(), kind: o.keyType}
	if err := r.recall(); err != nil {
		return nil, err
	}
	if o.local {
		r.after.Online, r.after.Inbox = "", ""
	}
	if o.remote {
		if s.Online == "" && a.flags.online == "" {
			return nil, usage("publisher key rotate "+c.Name()+" "+role+" --online lambda:NAME --inbox URL", "%s has no online signer yet", c.Name())
		}
		if err := a.checkOnline(a.overrideOnline(&r.after)); err != nil {
			return nil, err
		}
		if s.Online != "" && r.moves() {
			return nil, usage(fmt.Sprintf("publisher trust set %[1]s --online %[2]q if that is the same signer; else publisher key rotate %[1]s %[3]s --local first", c.Name(), r.after.Online, role),
				"%s has another online signer, %s", c.Name(), s.Online)
		}
	}
	if r.remote() && !o.remote {
		o.remote = true
		if err := o.checkKeys(); err != nil {
			return nil, err
		}
	}
	place := r.before
	if place.Online == "" {
		place = r.after
	}
	if place.Online == "" {
		return r, nil
	}
	var err error
	r.signer, err = a.onlineBy(ctx, c, place)
	return r, err
}

// settle deals with what is left of an interrupted run: keys do not move under a
// submission that may still be committed.
func (r *rotation) settle(ctx context.Context) error {
	if r.before.Online == "" {
		return nil
	}
	_, err := r.signer.settle(ctx)
	return err
}

func (r *rotation) load(ctx context.Context) (err error) {
	source, err := r.app.ownSource(ctx, r.c.Name(), r.before)
	if err != nil {
		return err
	}
	l, err := r.app.loader(r.c.Name(), source, r.c.Cache())
	if err != nil {
		return err
	}
	l.IgnoreExpiry, l.TimestampFirst, l.Recover = true, true, r.o.recover
	if r.view, err = l.Load(ctx); err != nil {
		return err
	}
	if !r.view.Published() {
		return fmt.Errorf("%s: %w", r.c.Name(), repo.ErrNotPublished)
	}
	r.root, r.from = &r.view.Root().Signed, r.view.Root().Signed.Version
	r.named, err = r.view.NamedKeys(ctx)
	return err
}

// decide finds out which keys come, as far as that is known before anybody makes
// one.
func (r *rotation) decide(ctx context.Context) error {
	given, err := r.given()
	if err != nil {
		return err
	}
	if r.moves() && len(given) > 0 {
		return usage("leave out -k, and rotate each of them then", "-k does not go with a move, which takes two roles along")
	}
	roles := r.roles()
	if r.was.Role == r.role && r.was.Online == r.after.Online && len(r.was.Roles) > len(roles) && r.was.Recover == r.o.recover {
		roles = onlineRoles // they have moved, as far as the settings say
	}
	for _, role := range roles {
		t, err := r.turnOf(ctx, role)
		if err != nil {
			return err
		}
		r.turns = append(r.turns, t)
	}
	if r.delegated() {
		upper, err := r.turnOf(ctx, r.turns[0].parent)
		if err != nil {
			return err
		}
		r.upper = upper.old
	}
	if err := r.choose(given); err != nil {
		return err
	}
	if err := r.abandon(ctx); err != nil {
		return err
	}
	if !r.resumed {
		return nil
	}
	if r.finished, err = r.done(ctx); err != nil || r.finished || r.delegated() {
		return err
	}
	return r.overtaken(r.plan(r.begun.After).Overtaken(ctx, r.view))
}

// choose goes on with the new keys of what was begun, or works out others.
func (r *rotation) choose(given []givenKey) error {
	goesOn := r.concerns(r.was)
	if goesOn && r.bare {
		r.takeUp()
		return nil
	}
	for i := range r.turns {
		t := &r.turns[i]
		if err := r.fill(t, given); err != nil {
			return err
		}
		goesOn = goesOn && r.fits(*t, r.was)
	}
	if goesOn {
		r.takeUp()
	}
	return nil
}

// oppose finds the open drafts of other roots: only one can be the next.
func (r *rotation) oppose(ctx context.Context) error {
	if r.finished || r.delegated() || !r.drafts() {
		return nil
	}
	k, err := r.app.desk(r.c, false)
	if err != nil {
		return err
	}
	roots, err := k.nextRoots(ctx)
	if err != nil {
		return err
	}
	plan := r.plan(r.begun.After)
	for _, d := range roots {
		if !plan.Says(&d.nextRoot().Signed) {
			r.against = append(r.against, d)
			r.losses = append(r.losses, k.loss(d))
		}
	}
	return nil
}

// drafts reports whether this gets as far as a root: one that no key here signs is
// not made, unless others are to sign it.
func (r *rotation) drafts() bool {
	if r.o.draft.share || r.o.draft.export != "" || slices.ContainsFunc(r.root.Roles[tuf.RoleRoot].KeyIDs, r.held) {
		return true
	}
	return r.role == tuf.RoleRoot && slices.ContainsFunc(r.turns, func(t turn) bool {
		return t.make > 0 || len(t.store) > 0 || slices.ContainsFunc(idsOf(t.keys), r.held)
	})
}

// turnOf is the keys of a role that are in force.
func (r *rotation) turnOf(ctx context.Context, role string) (turn, error) {
	if slices.Contains(tuf.TopLevel, role) {
		return turn{role: role, old: r.root.Roles[role]}, nil
	}
	all, err := r.view.Delegations(ctx)
	if err != nil {
		return turn{}, err
	}
	for _, d := range all {
		if d.Role == role {
			return turn{role: role, parent: d.Parent, old: tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}}, nil
		}
	}
	return turn{}, fmt.Errorf("%w: %s", repo.ErrNoRole, repo.RoleToNotary(role))
}

// done reports whether what was begun is published, all of it.
func (r *rotation) done(ctx context.Context) (bool, error) {
	if r.delegated() {
		return r.delegationDone(), nil
	}
	return r.plan(r.begun.After).Done(ctx, r.view)
}

// delegated reports whether it is a delegation whose keys change.
func (r *rotation) delegated() bool { return !slices.Contains(tuf.TopLevel, r.role) }

// fill works out the new keys and the threshold of one role.
func (r *rotation) fill(t *turn, given []givenKey) error {
	need, of, err := r.o.counts()
	if err != nil {
		return err
	}
	t.threshold = int64(need)
	if need == 0 {
		t.threshold = t.old.Threshold
	}
	switch {
	case r.remote():
		t.threshold, t.make = 1, 1
	case len(given) > 0:
		for _, k := range given {
			t.keys = append(t.keys, k.key)
			if k.pair != nil {
				t.store = append(t.store, *k.pair)
			}
		}
	case of > 0:
		t.make = of
	case need > 0:
		t.make = need
	case len(t.old.KeyIDs) > 1:
		return usage(fmt.Sprintf("-k FILE for each new key, or --threshold %d/%d to make all of them here", t.old.Threshold, len(t.old.KeyIDs)),
			"%s has %d keys, of which %d must sign: which are the new ones?", repo.RoleToNotary(t.role), len(t.old.KeyIDs), t.old.Threshold)
	default:
		t.make = 1
	}
	if t.threshold > int64(len(t.keys)+t.make) {
		return usage("--threshold n, or more keys", "%d of the keys of %s must sign, and only %d come", t.threshold, repo.RoleToNotary(t.role), len(t.keys)+t.make)
	}
	return r.leftover(t)
}

// plan is the rotation as repo has it, decided on that root.
func (r *rotation) plan(after int64) *repo.Rotation {
	p := &repo.Rotation{Roles: map[string]repo.Signers{}, Grace: r.o.grace, After: after, OldKeyLost: r.o.keyLost, Certs: r.o.certs, Recover: r.o.recover}
	for _, t := range r.turns {
		p.Roles[t.role] = repo.Signers{Keys: t.keys, Threshold: t.threshold}
	}
	return p
}

// agree shows what will be done, asks whether it should be, and has the keys
// made. From then on the same command goes on with them.
func (r *rotation) agree(ctx context.Context) error {
	for _, line := range r.lines() {
		r.app.infof("%s", line)
	}
	for _, loss := range r.losses {
		r.app.warnf("%s", loss)
	}
	if err := r.app.insist(r.question()); err != nil {
		return err
	}
	if err := r.makeKeys(ctx); err != nil {
		return err
	}
	r.begun = r.record()
	store, err := r.lock()
	if err != nil {
		return err
	}
	// Remembered first: no key is made twice, and none is left that nobody knows.
	if err := r.c.SetRotation(r.begun); err != nil {
		return err
	}
	return store()
}

func (r *rotation) question() string {
	if r.delegated() {
		return fmt.Sprintf("publish these keys of %s in %s?", repo.RoleToNotary(r.role), r.c.Name())
	}
	what := fmt.Sprintf("publish root %d of %s?", r.root.Version+1, r.c.Name())
	if len(r.against) > 0 {
		return fmt.Sprintf("give up %s, and %s", strings.Join(r.givenUp(), ", "), what)
	}
	return what
}

// givenUp names the drafts that this rotation takes the place of.
func (r *rotation) givenUp() []string {
	var names []string
	for _, d := range r.against {
		names = append(names, "draft "+shortID(d))
	}
	return names
}
