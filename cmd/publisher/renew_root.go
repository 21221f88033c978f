package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

type rootOptions struct {
	rootCerts []string
	renew     bool
	expires   map[string]string
	dryRun    bool
	draft     publishOptions
	lifetime  repo.Lifetimes
}

func newRootRole(a *app) *cobra.Command {
	var o rootOptions
	cmd := &cobra.Command{
		Use:     "root COLLECTION",
		Short:   "Show the root of a collection, or sign it again",
		GroupID: groupKeep,
		Long: `Show the root of a collection: who may sign for which role, and how long what they
sign lasts.

--renew publishes the next root with the same keys, before this one expires;
--root-cert does too, with a new certificate for one of them;
--expires does too, and changes how long the signatures of roles last. Those that
exist stay until they are renewed. Other keys come with "publisher key rotate".

"publisher publish" with nothing staged renews the root in the last third of its
life, where its keys are at hand.`,
		Example: `  publisher root example.com/scripts
  publisher root example.com/scripts --renew
  publisher root example.com/scripts --expires timestamp=3d,targets/releases=30d`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.lifetime, err = parseLifetimes(o.expires); err != nil {
				return err
			}
			o.renew = o.renew || len(o.expires) > 0 || len(o.rootCerts) > 0
			if !o.renew && (o.dryRun || o.draft != publishOptions{}) {
				return usage("--renew, or --expires ROLE=DURATION", "--dry-run, --export and --share go with a new root")
			}
			return a.rootRole(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.renew, "renew", false, "publish the next root, with the same keys")
	f.StringToStringVar(&o.expires, "expires", nil, "publish the next root, with another lifetime of a role's signatures: `role=duration` such as 90d or 36h")
	f.Lookup("expires").DefValue = ""
	f.StringArrayVar(&o.rootCerts, "root-cert", nil, "publish the next root, with the "+rootCertHelp)
	f.BoolVar(&o.dryRun, "dry-run", false, "show the root that would be published, and change nothing")
	f.StringVar(&o.draft.export, "export", "", "if signatures of others are missing, write the draft for them to this `file`")
	f.BoolVar(&o.draft.share, "share", false, "if signatures of others are missing, leave the draft for them in the inbox")
	for _, flag := range []string{"export", "share"} {
		cmd.MarkFlagsMutuallyExclusive("dry-run", flag)
	}
	return cmd
}

// shownRoot is a root as people are shown it.
type shownRoot struct {
	Collection string               `json:"collection"`
	Version    int64                `json:"version"`
	SHA256     string               `json:"sha256,omitempty"` // not for one that is not made yet
	Expires    time.Time            `json:"expires"`
	Roles      map[string]shownKeys `json:"roles"`
	Lifetimes  map[string]string    `json:"lifetimes"`
	Published  bool                 `json:"published"` // by this command
}

// shownKeys is who may sign for a role.
type shownKeys struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int64    `json:"threshold"`
}

func (a *app) rootRole(ctx context.Context, name string, o rootOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	if !o.renew {
		v, err := a.loadExpired(ctx, c, s)
		if err != nil {
			return err
		}
		return a.printRoot(newShownRoot(name, v.Root()))
	}
	certs, err := a.rootChains(o.rootCerts)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	v, err := a.loadExpired(ctx, c, s)
	if err != nil {
		return err
	}
	rotation := repo.Rotation{Lifetimes: o.lifetime, Certs: certs, After: v.Root().Signed.Version}
	if o.dryRun {
		next, err := rotation.Next(v, a.now())
		if err != nil {
			return err
		}
		r := newShownRoot(name, next)
		r.SHA256 = "" // it has no signatures, and will have another
		return a.printRoot(r)
	}
	a.inboxAlone = o.draft.share
	if err := a.renewRoot(ctx, c, rotation, o.draft); err != nil {
		var drafted *draftedError
		if errors.As(err, &drafted) {
			return a.printDrafted(drafted, err)
		}
		return hinted(err, "publisher key import FILE brings in a missing key")
	}
	if v, err = a.loadExpired(ctx, c, s); err != nil {
		return err
	}
	r := newShownRoot(name, v.Root())
	r.Published = true
	return a.printRoot(r)
}

// renewRoot publishes the next root; the keys stay. The caller holds the lock.
func (a *app) renewRoot(ctx context.Context, c *trust.Collection, next repo.Rotation, o publishOptions) error {
	p, err := a.publisher(ctx, c)
	if err != nil {
		return err
	}
	signer, err := a.online(ctx, c)
	if err != nil {
		return err
	}
	if signer != nil {
		if _, err := a.settlePending(ctx, c, signer); err != nil {
			return err
		}
		p.Commit = signer.commit
	}
	drafts, err := a.openDrafts(ctx, c)
	if err != nil {
		return err
	}
	drafts.attach(p, o)
	_, err = a.outwait(ctx, func() (*repo.Receipt, error) { return p.Rotate(ctx, next) })
	var few *repo.DraftError
	if errors.As(err, &few) {
		return drafts.keep(ctx, few, nil, o)
	}
	if err != nil {
		return err
	}
	if signer != nil {
		if err := signer.done(trust.Pending{}); err != nil {
			return err
		}
	}
	return drafts.rotated(ctx)
}

// renewDueRoot renews the root in the last third of its life, if enough of its
// keys are here and no draft makes another one. It returns the version that it has published, else 0. The
// caller holds the lock.
func (a *app) renewDueRoot(ctx context.Context, c *trust.Collection) (int64, error) {
	s, err := c.Settings()
	if err != nil {
		return 0, err
	}
	v, err := a.loadExpired(ctx, c, s)
	if err != nil || !v.Published() {
		return 0, nil // publish tells about that
	}
	root := v.Root()
	if a.now().Before(repo.LastThird(&root.Signed, tuf.RoleRoot, root.Signed.Expires)) {
		return 0, nil
	}
	held, err := a.heldIDs()
	if err != nil {
		return 0, err
	}
	role, here := root.Signed.Roles[tuf.RoleRoot], int64(0)
	for _, id := range role.KeyIDs {
		if held[id] {
			here++
		}
	}
	if here < role.Threshold {
		return 0, nil // what expires is warned of, with what to do
	}
	k, err := a.desk(c, false)
	if err != nil {
		return 0, err
	}
	open, err := k.nextRoots(ctx)
	if err != nil {
		return 0, err
	}
	if len(open) > 0 {
		a.warnf("root of %[1]s is due to be signed again, and draft %[2]s makes the next one: publisher sign %[1]s completes it, or publisher root %[1]s --renew gives it up", c.Name(), shortID(open[0]))
		return 0, nil
	}
	if err := a.renewRoot(ctx, c, repo.Rotation{After: root.Signed.Version}, publishOptions{}); err != nil {
		return 0, err
	}
	return root.Signed.Version + 1, nil
}

func newShownRoot(name string, root *tuf.File[tuf.Root]) shownRoot {
	r := shownRoot{
		Collection: name, Version: root.Signed.Version, SHA256: root.SHA256(), Expires: root.Signed.Expires,
		Roles: map[string]shownKeys{}, Lifetimes: map[string]string{},
	}
	for role, keys := range root.Signed.Roles {
		r.Roles[role] = shownKeys{keys.KeyIDs, keys.Threshold}
	}
	for _, role := range tuf.TopLevel {
		r.Lifetimes[role] = lifetimeText(repo.Lifetime(&root.Signed, role))
	}
	for role := range root.Signed.Publisher.Lifetimes {
		r.Lifetimes[repo.RoleToNotary(role)] = lifetimeText(repo.Lifetime(&root.Signed, role))
	}
	return r
}

// lifetimeText is a duration as --expires reads it.
func lifetimeText(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

func (a *app) printRoot(r shownRoot) error {
	return a.result(r, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s root %d, expires %s\n", r.Collection, r.Version, r.Expires.Format(time.RFC3339)); err != nil {
			return err
		}
		if r.SHA256 != "" {
			if _, err := fmt.Fprintf(w, "sha256 %s\n", r.SHA256); err != nil {
				return err
			}
		}
		var rows [][]string
		for _, role := range tuf.TopLevel {
			keys := r.Roles[role]
			rows = append(rows, []string{role, strconv.FormatInt(keys.Threshold, 10), r.Lifetimes[role], strings.Join(keys.KeyIDs, ",")})
		}
		for _, role := range slices.Sorted(maps.Keys(r.Lifetimes)) {
			if !slices.Contains(tuf.TopLevel, role) {
				rows = append(rows, []string{role, "", r.Lifetimes[role], ""})
			}
		}
		return printTable(w, []string{"ROLE", "THRESHOLD", "LASTS", "KEY IDS"}, rows)
	})
}
