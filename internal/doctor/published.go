package doctor

import (
	"context"
	"fmt"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
)

// published is what can be told from what is published.
var published = []check{
	{"promises", always, promises},
	{"expiry", needsView, expiry},
	{"sizes", needsView, sizes},
	{"roles", needsView, roles},
}

// promises: everything that is named is there, and what it should be. Of very many
// targets a sample is read.
func promises(ctx context.Context, p *Patient, f *findings) error {
	c := &repo.Checker{
		Source: p.timed(p.Source), Collection: p.Collection, Trusted: p.Trusted, Timestamp: p.Timestamp, Snapshot: p.Snapshot,
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
			f.add(Error, what, "clients refuse it, or do not find it", "restore it from a backup or a mirror; publisher check "+p.Collection+" --deep")
		}
	}
	return nil
}

func expiry(ctx context.Context, p *Patient, f *findings) error {
	all, err := p.view.Expiries(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		name := repo.RoleToNotary(e.Role)
		switch {
		case e.Version == 0:
		case !p.Now.Before(e.Expires):
			f.add(Error, fmt.Sprintf("%s expired at %s", name, e.Expires.Format(time.RFC3339)), "clients refuse everything that it signs for", p.renewal(e.Role))
		case e.Due(p.Now) && online(e.Role):
			f.add(Error, fmt.Sprintf("%s expires at %s, and should have been renewed at half its life", name, e.Expires.Format(time.RFC3339)),
				"the schedule that renews it does not run, or fails", p.renewal(e.Role))
		case e.Due(p.Now):
			f.add(Warning, fmt.Sprintf("%s expires at %s: the last third of its life", name, e.Expires.Format(time.RFC3339)), "nobody but its people can renew it", p.renewal(e.Role))
		}
	}
	return nil
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
	if n := len(p.view.Targets); n > maxSafeRoles+1 {
		f.add(Warning, fmt.Sprintf("there are %d roles of targets", n), "three clients visit 32 for one target at most", "see that no name matches the paths of more than 32 of them: publisher delegation list "+p.Collection)
	}
	return nil
}
