package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
)

// published is what can be told from what is published.
var published = []check{
	{"promises", needsPublished, promises},
	{"clock of the store", needsStore, storeClock},
	{"expiry", needsView, expiry},
	{"sizes", needsView, sizes},
	{"roles", needsView, roles},
}

// promises: everything that is named is there, and what it should be. Of very many
// targets a sample is read, and of the others it is compared what the store lists.
func promises(ctx context.Context, p *Patient, f *findings) error {
	c := &repo.Checker{
		Source: p.source(), Collection: p.Collection, Trusted: p.Trusted, Timestamp: p.Timestamp, Snapshot: p.Snapshot,
		Now: p.Now, Deep: p.Deep, Sample: p.sample(),
	}
	found, err := c.Check(ctx)
	if err != nil {
		return err
	}
	for _, problem := range found.Problems {
		what := problem.File + ": " + problem.What
		switch {
		case problem.Expired != "": // expiry tells more
		case problem.Access:
			f.add(Error, what, "clients cannot read it either, or nobody knows whether they can", "see why it is not given out, and run the same command again")
		default:
			f.add(Error, what, whyBroken, p.restore())
		}
	}
	if p.view == nil || p.store == nil || p.Deep {
		return nil
	}
	return p.compareListing(ctx, f)
}

const whyBroken = "clients refuse it, or do not find it"

// restore is what to do about what is not where it was read.
func (p *Patient) restore() string {
	if p.store == nil && p.Base != "" {
		return "see whether the store has it: " + p.checkThere() + " lists what is wrong there, and without --url in the store"
	}
	return "restore it from a backup or a mirror; publisher check " + p.Collection + " --deep"
}

// compareListing compares all targets with what the store lists, where there are
// more of them than the sample has.
func (p *Patient) compareListing(ctx context.Context, f *findings) error {
	listed, err := p.listed(ctx)
	if err != nil || len(listed) <= maxSample {
		return err
	}
	for e, err := range p.store.List(ctx, repo.TargetsDir(p.Collection)+"/") {
		if err != nil {
			return err
		}
		if t, ok := listed[e.Key]; ok && t.Length == e.Size {
			delete(listed, e.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(listed)) {
		t := listed[key]
		f.add(Error, fmt.Sprintf("target %q is not in the store with its %d bytes", t.Name, t.Length), whyBroken, p.restore())
	}
	return nil
}

// listed is every target, by the key of its object.
func (p *Patient) listed(ctx context.Context) (map[string]repo.Target, error) {
	list, err := p.view.List(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]repo.Target{}
	for _, t := range list {
		key, err := p.view.Key(t)
		if err != nil {
			return nil, err
		}
		all[key] = t
	}
	return all, nil
}

func expiry(ctx context.Context, p *Patient, f *findings) error {
	all, err := p.view.Expiries(ctx)
	if err != nil {
		return err
	}
	unclear := false
	for _, e := range all {
		switch {
		case e.Version == 0, stageOf(e, p.Now) == fresh:
		case slices.ContainsFunc(p.clocks, func(at time.Time) bool { return stageOf(e, at) != stageOf(e, p.Now) }):
			unclear = true
		default:
			p.tellExpiry(f, e)
		}
	}
	if unclear && len(f.all) == 0 {
		return moot("the clocks do not agree on what has expired: set the one that is wrong first")
	}
	return nil
}

// A stage is how far a role is in its life.
type stage int

const (
	fresh stage = iota
	due
	expired
)

func stageOf(e repo.Expiry, now time.Time) stage {
	switch {
	case !now.Before(e.Expires):
		return expired
	case e.Due(now):
		return due
	}
	return fresh
}

func (p *Patient) tellExpiry(f *findings, e repo.Expiry) {
	name, at, do := repo.RoleToNotary(e.Role), e.Expires.Format(time.RFC3339), p.renewal(e.Role)
	switch {
	case stageOf(e, p.Now) == expired:
		f.add(Error, fmt.Sprintf("%s expired at %s", name, at), "clients refuse everything that it signs for", do)
	case online(e.Role):
		f.add(Error, fmt.Sprintf("%s expires at %s, and should have been renewed at half its life", name, at), "the schedule that renews it does not run, or fails", do)
	default:
		f.add(Warning, fmt.Sprintf("%s expires at %s: the last third of its life", name, at), "nobody but its people can renew it", do)
	}
}

func online(role string) bool { return role == tuf.RoleSnapshot || role == tuf.RoleTimestamp }

// foreign reports a collection that another program has made.
func (p *Patient) foreign() bool { return p.view.Root().Signed.Publisher.Collection == "" }

// renewal is how a role is signed again.
func (p *Patient) renewal(role string) string {
	switch {
	case p.foreign():
		return "ask who publishes it to sign it again; a mirror of it then follows by publisher mirror"
	case online(role):
		return "publisher refresh " + p.Collection
	case role == tuf.RoleRoot:
		return "publisher root " + p.Collection + " --renew"
	}
	return "publisher witness " + p.Collection + " " + repo.RoleToNotary(role) + " --publish"
}

// The most that clients read of files whose length nobody has told them, and
// that all of them read quickly.
const (
	maxSnapshotEntries = 1000
	maxTargetsAtOnce   = 1000
)

func sizes(_ context.Context, p *Patient, f *findings) error {
	v := p.view
	if n := len(v.Root().Bytes()); n > repo.MaxRoot/2 {
		f.add(Warning, fmt.Sprintf("root has %d bytes, and clients read %d at most", n, repo.MaxRoot), "the next one may be too large for them", "name fewer keys")
	}
	if n := len(v.Snapshot.Signed.Meta); n > maxSnapshotEntries {
		f.add(Warning, fmt.Sprintf("the snapshot lists %d roles", n), "clients built on tuf-js need seconds for it, at every update", "publish some of it as a collection of its own")
	}
	for role, t := range v.Targets {
		if n := len(t.Signed.Targets); n > maxTargetsAtOnce {
			f.add(Warning, fmt.Sprintf("%s lists %d targets", repo.RoleToNotary(role), n), "clients built on tuf-js need seconds or minutes for it, at every update",
				"publisher delegation add "+p.Collection+" "+repo.RoleToNotary(role)+"/NAME KEY --paths PREFIX/ for a part of them")
		}
	}
	return nil
}

// maxSafeRoots is how many new roots between two visits every client follows, and
// maxSafeRoles how many roles every client visits for one target.
const (
	maxSafeRoots = 32
	maxSafeRoles = 32
)

func roles(_ context.Context, p *Patient, f *findings) error {
	if n := p.view.Root().Signed.Version; n > maxSafeRoots {
		f.add(Warning, fmt.Sprintf("there are %d roots", n), "some clients follow 32 new ones at one update: those that come with an old root have to try again", "ship clients with a newer root: publisher trust export "+p.Collection)
	}
	if n, name := p.mostVisited(); n > maxSafeRoles {
		f.add(Warning, fmt.Sprintf("whoever looks for %q asks %d delegations", name, n), "three clients ask 32 for one target at most",
			"give fewer of them paths that match the same names: publisher delegation list "+p.Collection)
	}
	return nil
}

// mostVisited is the name for which clients ask the most delegations, and how
// many, among some names.
func (p *Patient) mostVisited() (most int, found string) {
	if len(p.view.Targets) <= maxSafeRoles+1 {
		return 0, "" // there are no more to ask
	}
	for _, name := range p.names(max(100, 64_000/len(p.view.Targets))) {
		v := visit{view: p.view, name: name, seen: map[string]bool{}}
		v.role(tuf.RoleTargets)
		if n := len(v.seen) - 1; n > most {
			most, found = n, name
		}
	}
	return most, found
}

// names is at most so many that somebody may look for: names that match the paths
// of a delegation, for every other one that of a target.
func (p *Patient) names(limit int) []string {
	var matching, listed []string
	for _, role := range slices.Sorted(maps.Keys(p.view.Targets)) {
		f := p.view.Targets[role]
		listed = append(listed, slices.Sorted(maps.Keys(f.Signed.Targets))...)
		if f.Signed.Delegations == nil {
			continue
		}
		for _, d := range f.Signed.Delegations.Roles {
			if len(d.Paths) > 0 {
				matching = append(matching, strings.NewReplacer("*", "x", "?", "x").Replace(d.Paths[0]))
			}
		}
	}
	matching = matching[:min(len(matching), limit/2)]
	return append(matching, listed[:min(len(listed), limit-len(matching))]...)
}

// A visit is the search for one name; TUF specification, section 5.6.7.
type visit struct {
	view *repo.View
	name string
	seen map[string]bool
}

// role reports whether the search ends there.
func (v *visit) role(role string) bool {
	f := v.view.Targets[role]
	if f == nil || v.seen[role] {
		return false
	}
	v.seen[role] = true
	if _, ok := f.Signed.Targets[v.name]; ok {
		return true
	}
	if f.Signed.Delegations == nil {
		return false
	}
	for i := range f.Signed.Delegations.Roles {
		d := &f.Signed.Delegations.Roles[i]
		if repo.Delegates(d, v.name) && (v.role(d.Name) || d.Terminating) {
			return true
		}
	}
	return false
}
