package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"publisher/repo"
	"publisher/trust"
)

// This file is what becomes of a submission that was left in the inbox, and not
// waited for: status tells of it, and reset takes it back.

// pending reads what was left and not dealt with; ok is false if nothing was.
func pending(c *trust.Collection) (p trust.Pending, ok bool, err error) {
	p, err = c.Pending()
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	return p, err == nil, hinted(err, "publisher submissions %s --last 1 shows what was left last; move the file away, and run the same command again", c.Name())
}

// A leftBehind is such a submission, as status shows it.
type leftBehind struct {
	Name       string `json:"name"` // in the inbox
	Submission string `json:"submission"`
	State      string `json:"state,omitempty"` // as submissions has it; empty if the inbox could not be asked
	Changes    []int  `json:"changes"`         // the numbers of the staged changes that are in it

	p trust.Pending
}

// leftHere is what the trust directory knows of it, nil for none.
func leftHere(c *trust.Collection, staged []repo.Change) (*leftBehind, error) {
	p, ok, err := pending(c)
	if err != nil || !ok {
		return nil, err
	}
	l := &leftBehind{Name: p.Name, Submission: p.Submission, Changes: []int{}, p: p}
	for i, change := range staged {
		if slices.Contains(p.Changes, change.ID) {
			l.Changes = append(l.Changes, i)
		}
	}
	return l, nil
}

// ask finds out what became of it.
func (l *leftBehind) ask(ctx context.Context, a *app, c *trust.Collection) error {
	box, err := a.inbox(ctx, c, l.p.Inbox)
	if err != nil {
		return err
	}
	s, err := waitingSubmission(ctx, box, l.Name)
	if err == nil && s.State != "" {
		l.State = s.State
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := box.Receipt(ctx, l.Submission)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.State = stateLost
	case errors.Is(err, repo.ErrReceipt):
		l.State = stateUnreadable
	case err == nil:
		l.State = answered(r, l.Submission, a.now()).State
	}
	if l.State != "" {
		return nil
	}
	return err
}

// stateLost is the state of what was remembered, and never got into the inbox,
// or was taken out of it by others.
const stateLost = "lost"

func (l *leftBehind) print(w io.Writer, collection string) error {
	with := "with none of the changes that are staged"
	if n := len(l.Changes); n > 0 {
		numbers := make([]string, n)
		for i, number := range l.Changes {
			numbers[i] = strconv.Itoa(number)
		}
		with = "with staged changes " + strings.Join(numbers, ", ")
	}
	said := fmt.Sprintf("is %s: publisher publish %s takes note of that", l.State, collection)
	switch l.State {
	case "":
		said = "was left in the inbox, " + with + ", and may be published by now"
	case stateWaiting:
		said = "waits in the inbox, " + with + ", and will be published"
	}
	_, err := fmt.Fprintf(w, "submission %s %s\n", l.Name, said)
	return err
}

// takeBack takes the submission with one of these changes out of the inbox, with
// all of them any that has changes. The changes stay staged. It returns its name,
// empty if there is none; once it is published it is too late.
func (a *app) takeBack(ctx context.Context, c *trust.Collection, ids []string, all bool) (string, error) {
	p, ok, err := pending(c)
	if err != nil || !ok {
		return "", err
	}
	if !slices.ContainsFunc(p.Changes, func(id string) bool { return all || slices.Contains(ids, id) }) {
		return "", nil
	}
	box, err := a.inbox(ctx, c, p.Inbox)
	if err != nil {
		return "", err
	}
	if refused, err := a.refusedAlready(ctx, box, p); err != nil {
		return "", err
	} else if refused {
		return "", c.ClearPending()
	}
	whole, err := box.TakeBack(ctx, p.Name)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return "", mayNotTakeBack(c, p, err)
	}
	// The signer may have been faster.
	if _, err := a.refusedAlready(ctx, box, p); err != nil {
		return "", err
	}
	if !whole && !gone {
		a.warnf("signed files of %s stay in the inbox: until something else is published, whoever may write there can submit them again", p.Name)
	}
	if err := c.ClearPending(); err != nil || gone {
		return "", err
	}
	return p.Name, nil
}

// refusedAlready reports whether a submission has been refused. The error is of
// one that is published.
func (a *app) refusedAlready(ctx context.Context, box repo.Inbox, p trust.Pending) (bool, error) {
	r, err := a.receipt(ctx, box, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case r.Err() == nil || errors.Is(r.Err(), repo.ErrPublished):
		return false, &cliError{
			err:  fmt.Errorf("submission %s is published: too late to take its changes back", p.Name),
			hint: "publisher publish " + box.Collection + " takes note of that; what it published can be changed like anything else",
			code: exitConflict,
		}
	}
	return true, nil
}

// mayNotTakeBack says who can, if these credentials may not.
func mayNotTakeBack(c *trust.Collection, p trust.Pending, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("take %s out of the inbox: %w", p.Name, err)
	}
	return &cliError{
		err: fmt.Errorf("submission %s has these changes and will be published: these credentials may not delete it: %w", p.Name, err),
		hint: fmt.Sprintf("ask whoever runs the signer to delete %s from the inbox %s; then the same command again",
			repo.SubmissionKey(c.Name(), p.Name), shownStore(p.Inbox)),
		code: exitPermission,
	}
}
