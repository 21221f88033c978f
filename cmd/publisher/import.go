package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"publisher/internal/notary"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

func newImport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import",
		Short:   "Make a collection of one that other software made",
		GroupID: groupPublish,
	}
	return family(cmd, newImportNotary(a))
}

type importOptions struct {
	initOptions
	gun     string
	targets string // the directory with their files
	adopt   bool
	dryRun  bool
}

func newImportNotary(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "notary DIR|URL [COLLECTION] --store URL",
		Short: "Make a collection of one that Notary made",
		Long: `Make a collection of one that Notary made: its metadata, which is verified in
Notary's own format, becomes version 1 of a TUF repository.

DIR is Notary's trust directory (~/.notary), or one with the files root.json,
targets.json, snapshot.json, timestamp.json and targets/….json; URL is a Notary
server. What has expired is imported all the same, and reported.

A role keeps its keys if enough of their private halves are in the trust
directory, or in the directory private of DIR, and gets a new one otherwise. With
--online the signer has those of snapshot and timestamp.

Notary knows the hashes of targets, not their content: that is taken from the
directory --targets, or must be in the store already, as for publisher addhash.
Targets without are left out and listed, as are those of delegations whose
private keys are not here: their delegates publish them again, or --adopt puts
them into targets. The delegations themselves stay, with their keys and paths.`,
		Example: `  publisher import notary ~/.notary --gun example.com/scripts --store file:///srv/tuf --targets dist
  publisher import notary ~/.notary example.com/tool --gun example.com/Tool --store s3://bucket
  publisher import notary https://notary.example.com example.com/scripts --store s3://bucket --dry-run`,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImportNotary(cmd.Context(), a, append(args, "")[:2], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.gun, "gun", "", "what Notary calls the collection (default COLLECTION, or the only one in DIR)")
	f.StringVar(&o.targets, "targets", "", "`directory` with the files of the targets, each under its name")
	f.BoolVar(&o.adopt, "adopt", false, "take the targets of delegations whose keys are not here into targets")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be imported, and change nothing")
	o.addKeys(f)
	cmd.ValidArgsFunction = completeDirectory
	completeFlag(cmd, "targets", completeDirectory)
	return cmd
}

// completeDirectory offers directories for the first argument, and for flags.
func completeDirectory(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// runImportNotary reads and decides first, asks then, and only then makes
// anything; the collection is made as init makes one, and what Notary had is
// staged and published as if it had been added.
func runImportNotary(ctx context.Context, a *app, args []string, o importOptions) error {
	from, name, err := a.notaryNames(args[0], args[1], &o)
	if err != nil {
		return err
	}
	o.keyType = a.keyType(name, o.keyType).value
	old, err := a.readNotary(ctx, from, o.gun)
	if err != nil {
		return err
	}
	p, err := a.planImport(ctx, from, name, old, o)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.result(p, func(w io.Writer) error { return p.print(w) })
	}
	if err := a.agree(p, from); err != nil {
		return err
	}
	return a.makeImported(ctx, p, o)
}

// notaryNames works out which collection is meant. Notary's name need not be one
// that a collection can have here.
func (a *app) notaryNames(from, name string, o *importOptions) (string, string, error) {
	if err := checkNotaryDir(from); err != nil {
		return "", "", err
	}
	if o.gun == "" && name == "" {
		guns := notary.GUNs(from)
		if len(guns) != 1 {
			return "", "", usage("publisher import notary "+from+" --gun GUN", "which collection? %s", offered(from, guns))
		}
		o.gun = guns[0]
	}
	if o.gun == "" {
		o.gun = name
	}
	if name != "" {
		return from, name, repo.CheckCollection(name)
	}
	if err := repo.CheckCollection(o.gun); err != nil {
		return "", "", hinted(err, "publisher import notary %s COLLECTION --gun %s, with a name of lower-case letters for COLLECTION", from, o.gun)
	}
	return from, o.gun, nil
}

func offered(from string, guns []string) string {
	if len(guns) == 0 {
		return from + " does not tell"
	}
	return fmt.Sprintf("%s has %s", from, printable(fmt.Sprint(guns)))
}

// agree shows the plan and asks whether to go on.
func (a *app) agree(p *importPlan, from string) error {
	if !a.flags.quiet {
		if err := p.print(a.err); err != nil {
			return err
		}
	}
	if isURL(from) {
		a.warnf("nobody but the server vouches for the root keys: compare their IDs with the owner's")
	}
	ok, err := a.confirm(fmt.Sprintf("make %s of it in %s?", p.Collection, shownStore(p.new.place.Store)))
	if err == nil && !ok {
		err = usage("run the same command again", "nothing was imported")
	}
	return err
}

// makeImported makes the collection, stages what is imported, and publishes it.
func (a *app) makeImported(ctx context.Context, p *importPlan, o importOptions) error {
	n := p.new
	if n.place.Online != "" {
		if err := a.askSigner(ctx, n); err != nil {
			return err
		}
	}
	if err := a.openKeys(p, o.initOptions); err != nil {
		return err
	}
	root, err := repo.NewRoot(ctx, n.Genesis, rings{pairRing(n.pairs), a.keyring()}, a.now())
	if err != nil {
		return err
	}
	if err := a.checkPinned(n.Collection, root); err != nil {
		return err
	}
	unlock, stored, err := a.establish(ctx, n, o.initOptions, func(cache *trust.Cache) error { return putRoot(cache, root) })
	if err != nil {
		return err
	}
	defer unlock()
	var done *repo.Published
	staged, err := n.c.Changelist().Append(p.changes...)
	if err == nil {
		a.debugf("staged %s", counted(len(staged), "change"))
		done, err = a.publishLocked(ctx, n.c, publishOptions{})
	}
	if err != nil {
		return a.unpublished(ctx, n.c, n.store, stored, err)
	}
	made := initResult(n.Collection, root, n.place)
	published := newPublished(n.c, done)
	made.Publication, p.Made = &published, &made
	return a.result(p, func(w io.Writer) error {
		return errors.Join(printInit(w, n.c, &made, done), p.printLeft(w))
	})
}

// An importPlan is what becomes of a collection of Notary's.
type importPlan struct {
	Collection  string               `json:"collection"`
	GUN         string               `json:"gun"`
	Root        int64                `json:"root"`       // Notary's newest version
	FirstRoot   int64                `json:"first_root"` // the oldest that it was verified from
	RootKeys    []string             `json:"root_keys"`  // Notary's IDs of those of the newest
	Expired     []notary.Expired     `json:"expired"`
	Roles       []importedRole       `json:"roles"`
	Delegations []importedDelegation `json:"delegations"`
	Targets     int                  `json:"targets"` // that are imported
	Left        []leftOut            `json:"left_out"`
	Notes       []string             `json:"notes"`
	Made        *initialized         `json:"made,omitempty"`

	new     *newCollection
	kept    []keptKey // that are not in the trust directory yet
	changes []repo.Change
}

// planImport decides what becomes of everything. It changes nothing.
func (a *app) planImport(ctx context.Context, from, name string, old *notary.Collection, o importOptions) (*importPlan, error) {
	newest := old.Roots[len(old.Roots)-1]
	p := &importPlan{
		Collection: name, GUN: old.GUN, Root: newest.Version, FirstRoot: old.Roots[0].Version,
		RootKeys: newest.KeyIDs, Expired: old.Expired,
	}
	var err error
	if p.new, err = a.importInto(ctx, from, name, o.initOptions); err != nil {
		return nil, err
	}
	private := notaryKeys{app: a, files: privateFiles(from), collection: name, gun: old.GUN}
	for _, role := range tuf.TopLevel {
		if err := p.keepKeys(&private, role, old.Roles[role]); err != nil {
			return nil, err
		}
	}
	content := &importer{app: a, plan: p, old: old, dir: o.targets, adopt: o.adopt, private: &private}
	if err := content.all(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(p.Left, leftOut.compare)
	return p, nil
}

// importInto is a new collection as far as the flags tell.
func (a *app) importInto(ctx context.Context, from, name string, o initOptions) (*newCollection, error) {
	c, err := a.collection(name)
	if err != nil {
		return nil, err
	}
	n, err := a.genesis(c, o)
	if err != nil {
		return nil, err
	}
	if n.place, n.store, err = a.newPlace(ctx, c); err != nil {
		return nil, err
	}
	if isURL(from) {
		n.place.TLSCACert, n.place.TLSCert, n.place.TLSKey = "", "", "" // they were for Notary's server
	}
	if n.place.Online != "" {
		err = n.leaveKeys(o)
	}
	if err == nil {
		err = a.checkNew(ctx, n.store, name)
	}
	return n, err
}
