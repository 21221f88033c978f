package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// reach is whether the stores answer these credentials at all. Where one does not,
// that is the only finding about it, and what can be seen from outside is looked at
// nevertheless.
var reach = []check{
	{"store answers", needsPlace, storeAnswers},
	{"inbox answers", needsBox, inboxAnswers},
}

func needsBox(p *Patient) string {
	if p.Inbox == nil {
		return noSigner
	}
	return p.storeAway // for the same reason, most of the time
}

func storeAnswers(ctx context.Context, p *Patient, f *findings) error {
	root, err := tuf.Parse[tuf.Root](p.Trusted, repo.MaxRoot)
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	err = p.first(ctx, func(ctx context.Context) error {
		_, err := storage.Stat(ctx, p.Store, repo.SlotKey(p.Collection, tuf.RoleRoot, root.Signed.Version))
		return err
	})
	if p.storeAway = p.away(f, "store "+p.StoreName, err); p.storeAway != "" {
		p.store = nil
	}
	return ctx.Err()
}

func inboxAnswers(ctx context.Context, p *Patient, f *findings) error {
	err := p.first(ctx, func(ctx context.Context) error {
		for _, err := range p.Inbox.List(ctx, p.Collection+"/") {
			return err
		}
		return nil
	})
	if p.inboxAway = p.away(f, "inbox "+p.InboxName, err); p.inboxAway != "" {
		p.inbox = nil
	}
	return ctx.Err()
}

// first asks a store for something that it answers at once.
func (p *Patient) first(ctx context.Context, ask func(context.Context) error) error {
	limit := p.firstAnswer()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := ask(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil { // what drivers say is how their request ended
		return fmt.Errorf("no answer within %v: %w", limit, limited.Err())
	}
	return err
}

// away reports a store that cannot be read, and returns why nothing else is asked
// of it, empty if it can.
func (p *Patient) away(f *findings, name string, err error) string {
	why, do := "whoever publishes meets the same", "look at the server and the way to it, and run the same command again"
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return ""
	case errors.Is(err, fs.ErrPermission):
		why = "what is in it is not examined, and nobody publishes with these credentials; what clients are served does not depend on them"
		do = "use credentials that may read it, or look from outside alone: publisher doctor " + p.outsideURL()
	case errors.Is(err, storage.ErrNoStore):
		do = "create it, or correct the address: publisher trust set " + p.Collection
	}
	f.add(Error, fmt.Sprintf("the %s cannot be read: %v", name, err), why, do)
	return fmt.Sprintf("the %s cannot be read", name)
}

// outsideURL is the collection as pullers find it.
func (p *Patient) outsideURL() string {
	if p.Base == "" {
		return "URL"
	}
	return p.Base + "/" + p.Collection
}

// source is what the collection is read from: its store, as far as that answers.
func (p *Patient) source() storage.Getter {
	if p.store != nil {
		return p.store
	}
	return &timedSource{p.Source, p}
}

// giveUp asks nothing more of a store that hangs: the check that met it has told.
func (p *Patient) giveUp() {
	if p.store != nil && p.storeHangs.Load() >= maxHangs {
		p.store, p.storeAway = nil, fmt.Sprintf("the store %s does not answer any more", p.StoreName)
	}
	if p.inbox != nil && p.inboxHangs.Load() >= maxHangs {
		p.inbox, p.inboxAway = nil, fmt.Sprintf("the inbox %s does not answer any more", p.InboxName)
	}
}
