package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

func newTrustSet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "set COLLECTION [--store URL] [--url URL] [--online SIGNER] [--inbox URL]",
		Short: "Say where a collection is now",
		Long: `Say where a collection is now: its store or its URL has moved, its online signer
has another name or address, or another inbox. What is not named stays as it is.

Nothing is remembered before it is seen to be the same: store and URL must lead
from the trusted root to no older version than was seen before, the signer must
answer with the very keys that the newest root names, and the inbox must have them.
To move the keys to another signer is another thing: publisher key rotate.`,
		Example: `  publisher trust set example.com/scripts --online 'lambda:signer?region=eu-central-1'
  publisher trust set example.com/scripts --url https://cdn.example.org`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runTrustSet(cmd.Context(), a, args[0]) },
	}
}

func runTrustSet(ctx context.Context, a *app, name string) error {
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := c.Settings()
	if err != nil {
		return err
	}
	s, err := a.moved(old)
	if err != nil {
		return err
	}
	if err := a.checkMoved(ctx, c, old, s); err != nil {
		return err
	}
	if err := setPlace(c, old, s); err != nil {
		return err
	}
	return a.printPlace(name, s)
}

// moved is s with what the flags name in place of it: the environment is about
// one command, or about every collection.
func (a *app) moved(s trust.Settings) (trust.Settings, error) {
	fields := settingsFields(&s)
	named := false
	for key, value := range fields {
		if given := a.fromFlags(key); given.value != "" {
			*value, named = given.value, true
		}
	}
	if !named {
		return s, usage("publisher trust set COLLECTION --online lambda:NAME, --inbox, --store or --url", "nothing is named that is to change")
	}
	if err := absoluteFiles(&s); err != nil {
		return s, err
	}
	return s, a.checkOnline(&s)
}

// checkMoved refuses a place that is not that of the collection.
func (a *app) checkMoved(ctx context.Context, c *trust.Collection, old, s trust.Settings) error {
	if p, ok, err := pending(c); err != nil {
		return err
	} else if ok && s.Inbox != old.Inbox {
		return &cliError{
			err:  fmt.Errorf("submission %s waits in the inbox %s", p.Name, shownStore(p.Inbox)),
			hint: fmt.Sprintf("publisher publish %[1]s has it answered, publisher reset %[1]s --all withdraws it", c.Name()),
			code: exitConflict,
		}
	}
	root, err := a.rootAt(ctx, c, s)
	if err != nil || s.Online == "" || s.Online == old.Online && s.Inbox == old.Inbox {
		return err
	}
	if err := a.checkInbox(ctx, c, s, root); err != nil {
		return err
	}
	return a.checkSigner(ctx, c, s, root)
}

// rootAt is the newest root, from each place that s names.
func (a *app) rootAt(ctx context.Context, c *trust.Collection, s trust.Settings) (root *tuf.Root, err error) {
	for _, place := range []trust.Settings{
		{URL: s.URL, TLSCACert: s.TLSCACert, TLSCert: s.TLSCert, TLSKey: s.TLSKey}, {Store: s.Store},
	} {
		layers := []layer{a.fromSettings(c.Name(), place)}
		var source storage.Getter
		switch key, from := readFrom(layers); key {
		case config.URL:
			source, err = a.webSource(layers, from.value)
		case config.Store:
			source, err = a.openStore(ctx, from.value)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		l, err := a.loader(c.Name(), source, c.Cache())
		if err != nil {
			return nil, err
		}
		l.IgnoreExpiry = true
		v, err := l.Load(ctx)
		if err != nil {
			return nil, hinted(fmt.Errorf("look for %s there: %w", c.Name(), err), "check --store and --url: nothing is remembered of what they name")
		}
		root = &v.Root().Signed
	}
	if root == nil {
		return nil, &cliError{err: fmt.Errorf("no store is known for %s", c.Name()), hint: storeHint, code: exitNotFound}
	}
	return root, nil
}

// checkInbox refuses one in which the signer's keys are not: it would not find
// submissions there. Their names are listed; nobody but the signer may read them.
func (a *app) checkInbox(ctx context.Context, c *trust.Collection, s trust.Settings, root *tuf.Root) error {
	box, err := a.inbox(ctx, c, s.Inbox)
	if err != nil {
		return err
	}
	for _, role := range onlineRoles {
		found := false
		for e, err := range box.Store.List(ctx, repo.OnlineKeysDir(c.Name(), role)) {
			if err != nil {
				return fmt.Errorf("look into the inbox: %w", err)
			}
			found = found || slices.ContainsFunc(root.Roles[role].KeyIDs, func(id string) bool {
				return e.Key == repo.OnlineKeyKey(c.Name(), role, id)
			})
		}
		if !found {
			return notThis(c, "the inbox "+shownStore(s.Inbox), "has not", role, root)
		}
	}
	return nil
}

// checkSigner refuses one that has not the keys that root names.
func (a *app) checkSigner(ctx context.Context, c *trust.Collection, s trust.Settings, root *tuf.Root) error {
	held, err := a.signerKeys(ctx, c.Name(), s.Online)
	if err != nil {
		return err
	}
	for _, role := range onlineRoles {
		if !slices.Contains(root.Roles[role].KeyIDs, held[role].ID()) {
			return notThis(c, s.Online, "answers with another key than", role, root)
		}
	}
	return nil
}

func notThis(c *trust.Collection, what, has, role string, root *tuf.Root) error {
	return &cliError{
		err: fmt.Errorf("%s %s the %s key that root %d names", what, has, role, root.Version),
		hint: fmt.Sprintf("check --online and --inbox; to move the keys to another signer: publisher key rotate %[1]s snapshot --local, then publisher key rotate %[1]s snapshot --online SIGNER --inbox URL",
			c.Name()),
		code: exitKey,
	}
}

// setPlace remembers where a collection is. A rotation that was begun goes on
// with the signer that it was begun with, under its new name.
func setPlace(c *trust.Collection, old, s trust.Settings) error {
	begun, err := c.Rotation()
	if err == nil && begun.Online != "" && begun.Online == old.Online {
		begun.Online = s.Online
		err = c.SetRotation(begun)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.SetSettings(s)
}

func (a *app) printPlace(name string, s trust.Settings) error {
	v := struct {
		Collection string `json:"collection"`
		Store      string `json:"store,omitempty"`
		URL        string `json:"url,omitempty"`
		Online     string `json:"online,omitempty"`
		Inbox      string `json:"inbox,omitempty"`
	}{name, s.Store, s.URL, s.Online, s.Inbox}
	return a.result(v, func(w io.Writer) error {
		for _, row := range [][2]string{{"store", shownStore(s.Store)}, {"url", s.URL}, {"online", s.Online}, {"inbox", shownStore(s.Inbox)}} {
			if row[1] == "" {
				continue
			}
			if _, err := fmt.Fprintf(w, "%-6s %s\n", row[0], row[1]); err != nil {
				return err
			}
		}
		return nil
	})
}
