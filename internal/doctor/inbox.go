package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/oklog/ulid/v2"

	"publisher/repo"
	"publisher/storage"
)

func needsInboxAndStore(p *Patient) string {
	if why := needsPlace(p); why != "" {
		return why
	}
	return needsInbox(p)
}

// inboxApart: nothing of the inbox lies where everything is served. Two addresses
// may lead to one place.
func inboxApart(ctx context.Context, p *Patient, f *findings) error {
	const why = "all that lies there is served: what is about to be published, and the sealed keys of the signer"
	do := "make a bucket of its own for the inbox, copy what lies in it, start the signer with it, and: publisher trust set " + p.Collection + " --inbox URL"
	if p.Together != nil {
		f.add(Error, p.Together.Error(), why, do)
		return nil
	}
	key := repo.TimestampKey(p.Collection)
	there, _, err := storage.Read(ctx, p.inbox, key, repo.MaxTimestamp)
	if err != nil {
		return ctx.Err() // as it should be
	}
	if here, _, err := storage.Read(ctx, p.store, key, repo.MaxTimestamp); err == nil && bytes.Equal(here, there) {
		f.add(Error, fmt.Sprintf("the inbox %s is the store %s: %s is in both", p.InboxName, p.StoreName, key), why, do)
	}
	return ctx.Err()
}

func needsAnybody(p *Patient) string {
	if p.Anybody == nil {
		return "nobody without credentials can ask such an inbox for anything"
	}
	return needsInbox(p)
}

// inboxPrivate asks for what lies in the inbox as those do who have no credentials.
func inboxPrivate(ctx context.Context, p *Patient, f *findings) error {
	asked := 0
	for e, err := range p.inbox.List(ctx, p.Collection+"/") {
		if err != nil {
			return err
		}
		if _, ok := repo.ParsePrivate(e.Key); !ok {
			continue
		}
		if open, err := p.lent(ctx, e.Key); err != nil || open {
			p.open = open
			p.tellOpen(f, open, "read "+e.Key)
			return err
		}
		if asked++; asked == maxServed {
			break
		}
	}
	return p.inboxListed(ctx, f)
}

// lent reports whether anybody may read an object of the inbox.
func (p *Patient) lent(ctx context.Context, key string) (bool, error) {
	err := p.first(ctx, func(ctx context.Context) error {
		o, err := p.Anybody.Get(ctx, key)
		if err == nil {
			err = o.Body.Close()
		}
		return err
	})
	return settled(err)
}

// inboxListed asks whether anybody may list the inbox.
func (p *Patient) inboxListed(ctx context.Context, f *findings) error {
	open, err := settled(p.first(ctx, func(ctx context.Context) error {
		for _, err := range p.Anybody.List(ctx, p.Collection+"/") {
			return err
		}
		return nil
	}))
	p.tellOpen(f, open, "list")
	return err
}

// settled reports whether a request was granted. What is missing is missing for all.
func settled(err error) (granted bool, failed error) {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (p *Patient) tellOpen(f *findings, open bool, what string) {
	if open {
		f.add(Error, fmt.Sprintf("anybody may %s, in the inbox %s, without credentials", what, p.InboxName),
			"everybody sees what is about to be published; and with what opens the sealed keys, they sign snapshot and timestamp",
			`take "Principal": "*" out of the policy of the inbox's bucket; if keys lay open, then publisher key rotate `+p.Collection+" snapshot -r, and timestamp -r")
	}
}

// shown is why it says nothing of these credentials what they may read: all may.
func (p *Patient) shown() error {
	if p.open {
		return moot("anybody may read the inbox: see inbox is private")
	}
	return nil
}

func keysAreApart(ctx context.Context, p *Patient, f *findings) error {
	if err := p.shown(); err != nil {
		return err
	}
	for e, err := range p.inbox.List(ctx, p.Collection+"/keys/") {
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		_, _, err = storage.Read(ctx, p.inbox, e.Key, repo.MaxRoot)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err == nil {
			f.add(Warning, "these credentials may read the sealed keys of the signer", "with the KMS key or the passphrase that seals them they sign snapshot and timestamp",
				"give publishers the policy for publishers: see docs/operations.md")
		}
		return err
	}
	return nil
}

// otherInboxes: nobody sees the submissions of others.
func otherInboxes(ctx context.Context, p *Patient, f *findings) error {
	if err := p.shown(); err != nil {
		return err
	}
	for e, err := range p.inbox.List(ctx, "") {
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		key, ok := repo.ParsePrivate(e.Key)
		if !ok || key.Collection == p.Collection || key.Kind == "keys" {
			continue
		}
		_, _, err = storage.Read(ctx, p.inbox, e.Key, repo.MaxRoot)
		switch {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil || errors.Is(err, storage.ErrTooLarge):
			f.add(Warning, "these credentials may read the inbox of "+key.Collection, "publishers of one collection see what others are about to publish",
				"give publishers the policy for publishers: see docs/operations.md")
			return nil
		}
		return err
	}
	return nil
}

// maxWait is for how long a submission may wait: the schedule sweeps more often.
// Of those that have waited longer so many are looked at.
const (
	maxWait = time.Hour
	maxLook = 100
)

func answered(ctx context.Context, p *Patient, f *findings) error {
	box := repo.Inbox{Store: p.inbox, Collection: p.Collection}
	waiting, looked := 0, 0
	for name, err := range box.Waiting(ctx) {
		if err != nil {
			return err
		}
		id, err := ulid.ParseStrict(name)
		if err != nil || p.Now.Sub(ulid.Time(id.Time())) < maxWait {
			continue
		}
		if looked++; looked > maxLook {
			break
		}
		done, err := hasReceipt(ctx, box, name)
		if err != nil {
			return err
		}
		if !done {
			waiting++
		}
	}
	if waiting > 0 {
		f.add(Error, fmt.Sprintf("%d submissions have waited for more than an hour", waiting), "the signer does not run, or cannot answer",
			"publisher submissions "+p.Collection+", and look at the signer's log")
	}
	return putAside(ctx, p, f)
}

// putAside looks for submissions that the signer could neither take nor refuse.
func putAside(ctx context.Context, p *Patient, f *findings) error {
	n := 0
	for _, err := range p.inbox.List(ctx, repo.QuarantineDir(p.Collection)) {
		if err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		f.add(Warning, fmt.Sprintf("%d submissions were put aside: the signer has failed on them again and again", n), "what was to be published is not, and nobody was told",
			"publisher submissions "+p.Collection+", and look at the signer's log")
	}
	return nil
}

// hasReceipt: where nobody may delete, what is answered stays.
func hasReceipt(ctx context.Context, box repo.Inbox, name string) (bool, error) {
	sub, err := box.Submission(ctx, name)
	if sub == nil {
		return errors.Is(err, fs.ErrNotExist), nil
	}
	_, err = box.Receipt(ctx, sub.ID())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
