package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/trust"
)

type deleteOptions struct {
	remote     bool
	onlineKeys bool
}

func newDelete(a *app) *cobra.Command {
	var o deleteOptions
	cmd := &cobra.Command{
		Use:     "delete COLLECTION",
		Short:   "Delete a collection here, and with --remote everywhere",
		GroupID: groupPublish,
		Long: `Delete what the trust directory has of a collection: settings, verified metadata
and staged changes. Private keys stay.

With --remote it deletes what is published as well, and what is in the inbox: for
good, and for everybody. First goes timestamp.json, so that clients find a clean
end. The name of the collection has to be typed in, or --yes be given. Whatever
interrupts it, the same command again completes it.

The keys that an online signer keeps for the collection stay in the inbox unless
--online-keys is given, and credentials that may remove them.`,
		Example: `  publisher delete example.com/scripts
  publisher delete example.com/scripts --remote`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.onlineKeys && !o.remote {
				return usage("add --remote", "--online-keys goes with --remote: they are in the inbox")
			}
			return runDelete(cmd.Context(), a, args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.remote, "remote", false, "delete what is published, too")
	f.BoolVar(&o.onlineKeys, "online-keys", false, "with --remote: delete the online signer's keys for the collection, too")
	return cmd
}

// deleted is the result of delete.
type deleted struct {
	Collection string   `json:"collection"`
	Local      bool     `json:"local"`   // the trust directory had it
	Objects    int      `json:"objects"` // that were removed from the stores
	Keys       []string `json:"keys"`    // private keys of the collection, which stay
}

// runDelete deletes here last, so that it can be run again until all is gone.
func runDelete(ctx context.Context, a *app, name string, o deleteOptions) error {
	c, err := a.collection(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := c.Settings()
	known := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist) && (!o.remote || a.flags.store == ""):
		_, _, err = a.known(name)
		return err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := a.confirmDelete(c, known, o); err != nil {
		return err
	}
	d := deleted{Collection: name, Local: known, Keys: []string{}}
	if d.Keys, err = a.keysOf(name); err != nil {
		return err
	}
	if o.remote {
		if d.Objects, err = a.erase(ctx, name, s, o); err != nil {
			return err
		}
	}
	if known {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return a.result(d, func(w io.Writer) error { return printDeleted(w, d, o) })
}

// confirmDelete has the user agree to what cannot be undone.
func (a *app) confirmDelete(c *trust.Collection, known bool, o deleteOptions) error {
	if known {
		lost, err := unfinished(c)
		if err != nil {
			return err
		}
		if lost != "" {
			if err := a.insist(fmt.Sprintf("%s has %s: delete it all the same?", c.Name(), lost)); err != nil {
				return err
			}
		}
	}
	if !o.remote || a.flags.yes {
		return nil
	}
	t, err := a.terminal(usage("add --yes to the command", "nobody there to type the name of the collection, without which nothing is deleted"))
	if err != nil {
		return err
	}
	defer t.close()
	answer, err := t.line("this deletes what is published, for everybody and for good; the name of the collection, to go on:")
	if errors.Is(err, errNoAnswer) || err == nil && answer != c.Name() {
		err = hinted(fmt.Errorf("that is not %s, nothing was done", c.Name()), "type the name of the collection, or add --yes")
	}
	return err
}

// unfinished is what would be lost of a collection, empty for nothing.
func unfinished(c *trust.Collection) (string, error) {
	if _, err := c.Pending(); err == nil {
		return "a submission that may be unanswered", nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	drafts, err := c.Drafts()
	if err != nil {
		return "", err
	}
	if len(drafts) > 0 {
		return counted(len(drafts), "draft"), nil
	}
	staged, err := c.Changelist().List()
	if err != nil || len(staged) == 0 {
		return "", err
	}
	return counted(len(staged), "staged change"), nil
}

// keysOf is the IDs of the private keys here that are of a collection.
func (a *app) keysOf(name string) ([]string, error) {
	held, err := a.heldKeys()
	if err != nil {
		return nil, err
	}
	trusted := a.trustedKeys(name)
	ids := []string{}
	for _, k := range held {
		if _, ok := trusted[k.ID]; ok || k.Collection == name {
			ids = append(ids, k.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// erase deletes what is in the stores.
func (a *app) erase(ctx context.Context, name string, s trust.Settings, o deleteOptions) (int, error) {
	s, err := a.newSettings(name, s)
	if err != nil {
		return 0, err
	}
	s = a.placed(name, s)
	if s.Store == "" {
		return 0, usage(storeHint, "no store is known for %s", name)
	}
	e := &repo.Eraser{Collection: name, OnlineKeys: o.onlineKeys}
	if e.Store, err = a.openStore(ctx, s.Store); err != nil {
		return 0, err
	}
	if s.Inbox != "" {
		if e.Inbox, err = a.openStore(ctx, s.Inbox); err != nil {
			return 0, fmt.Errorf("open inbox: %w", err)
		}
	} else if o.onlineKeys {
		return 0, usage("--online SIGNER --inbox URL", "no inbox is known for %s", name)
	}
	defer a.wait("deleting")()
	n, err := e.Erase(ctx)
	if err != nil && n > 0 {
		err = fmt.Errorf("%s removed, and then: %w", counted(n, "object"), err)
	}
	return n, explainErase(err)
}

// explainErase tells what is missing where a store does not let objects go.
func explainErase(err error) error {
	switch {
	case errors.Is(err, repo.ErrNoDelete):
		return hinted(err, "remove the objects with the tools of the store")
	case errors.Is(err, fs.ErrPermission):
		return hinted(err, "use credentials that may list and remove objects (s3:ListBucket, s3:DeleteObject), and run the same command again")
	}
	return err
}

func printDeleted(w io.Writer, d deleted, o deleteOptions) error {
	if o.remote {
		if _, err := fmt.Fprintf(w, "deleted %s: %s\n", d.Collection, counted(d.Objects, "object")); err != nil {
			return err
		}
	}
	if d.Local {
		if _, err := fmt.Fprintf(w, "deleted %s here\n", d.Collection); err != nil {
			return err
		}
	}
	for _, id := range d.Keys {
		if _, err := fmt.Fprintf(w, "key %s stays\n", id); err != nil {
			return err
		}
	}
	return nil
}
