package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

func newSubmissions(a *app) *cobra.Command {
	var last int
	cmd := &cobra.Command{
		Use:   "submissions COLLECTION",
		Short: "Show what waits for the online signer, and its last receipts",
		Long: `Show the submissions in the inbox of a collection that wait for its online
signer, and the receipts of those that it answered last. The state of one is

  waiting      the signer has not come to it yet
  committed    it is published, in these versions
  stale        another publish was faster: publish again
  burned       its number was taken by an unfinished publish: publish again
  rejected     it cannot be published, for the reason told
  published    a first publication of what is there already
  quarantined  the signer failed on it, and has put it aside
  unreadable   what lies in the place of its receipt is not one

The time is that at which it was left, or, of one that is no longer in the inbox,
at which it was answered.`,
		Example: "  publisher submissions example.com/scripts\n  publisher submissions example.com/scripts --last 100 --json",
		GroupID: groupPublish,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.submissions(cmd.Context(), args[0], last)
		},
	}
	cmd.Flags().IntVar(&last, "last", 20, "show this `number` of receipts at most")
	return cmd
}

// A submitted is one line of submissions.
type submitted struct {
	Submitted time.Time        `json:"submitted,omitzero"` // when it was left, or, of one that is gone, answered
	Name      string           `json:"name,omitempty"`     // in the inbox, empty for one that is gone
	ID        string           `json:"submission"`
	State     string           `json:"state"`
	Versions  map[string]int64 `json:"versions,omitempty"`
	Error     string           `json:"error,omitempty"`
	Mine      bool             `json:"mine"` // it was left by the last publish from here
}

// The states of what has no receipt that says one.
const (
	stateWaiting     = "waiting"
	stateQuarantined = "quarantined"
	stateUnreadable  = "unreadable"
)

func (a *app) submissions(ctx context.Context, name string, last int) error {
	if last < 0 {
		return usage("--last 20", "--last %d is not a number of receipts", last)
	}
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	o, err := a.online(ctx, c)
	if err != nil {
		return err
	}
	if o == nil {
		return usage("publisher status "+name, "%s has no online signer: its publishes are done when the command is", name)
	}
	box, err := o.box(ctx, o.inbox)
	if err != nil {
		return err
	}
	p, _, err := pending(c)
	if err != nil {
		return err
	}
	all, err := listSubmissions(ctx, box, p, last)
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	if len(all) == 0 {
		a.infof("nothing was submitted to %s", name)
	}
	return a.result(all, func(w io.Writer) error { return printSubmissions(w, all) })
}

// listSubmissions lists the last receipts, the oldest first, what was put aside,
// and then what waits, in the order in which it will be answered.
func listSubmissions(ctx context.Context, box repo.Inbox, pending trust.Pending, last int) ([]submitted, error) {
	all, err := lastReceipts(ctx, box, last)
	if err != nil {
		return nil, err
	}
	if all, err = markQuarantined(ctx, box, all); err != nil {
		return nil, err
	}
	for name, err := range box.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		s, err := waitingSubmission(ctx, box, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // answered meanwhile
		}
		if err != nil {
			return nil, err
		}
		if s.State == "" {
			continue
		}
		// One row is enough for it, and for a receipt of it that is none.
		all = slices.DeleteFunc(all, func(other submitted) bool { return other.ID == s.ID && other.State == stateUnreadable })
		all = append(all, s)
	}
	for i := range all {
		if all[i].Mine = all[i].ID == pending.Submission; all[i].Mine {
			all[i].Name = pending.Name
		}
	}
	return all, nil
}

// markQuarantined marks the submissions that were put aside, each of which has a
// refusal for its receipt, and adds those whose receipts are not in the list.
func markQuarantined(ctx context.Context, box repo.Inbox, all []submitted) ([]submitted, error) {
	for name, err := range box.Quarantined(ctx) {
		if err != nil {
			return nil, err
		}
		s := namedSubmission(name, stateQuarantined)
		if s.ID, err = submissionID(ctx, box.Store, repo.QuarantineKey(box.Collection, name)); errors.Is(err, fs.ErrNotExist) {
			continue // taken away meanwhile
		}
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(other submitted) bool { return other.ID == s.ID })
		if i < 0 {
			all = append(all, s)
			continue
		}
		all[i].Name, all[i].State = name, s.State
	}
	return all, nil
}

// namedSubmission is one of which its name, a ULID, tells when it was left.
func namedSubmission(name, state string) submitted {
	s := submitted{Name: name, State: state}
	if id, err := ulid.ParseStrict(name); err == nil {
		s.Submitted = ulid.Time(id.Time()).UTC().Truncate(time.Second)
	}
	return s
}

// submissionID is the hash of a manifest, empty for one that is too large, or was
// changed behind the store.
func submissionID(ctx context.Context, store storage.Store, key string) (string, error) {
	data, _, err := storage.Read(ctx, store, key, maxSubmission)
	if errors.Is(err, storage.ErrTooLarge) || errors.Is(err, storage.ErrDamaged) {
		return "", nil // it will be rejected
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// maxSubmission is more than any submission's manifest has, in bytes.
const maxSubmission = 64 << 10

// waitingSubmission is one in the inbox. Where nobody may delete, answered ones
// stay there: their receipts tell.
func waitingSubmission(ctx context.Context, box repo.Inbox, name string) (s submitted, err error) {
	s = namedSubmission(name, stateWaiting)
	s.ID, err = submissionID(ctx, box.Store, repo.SubmissionKey(box.Collection, name))
	if s.ID == "" || err != nil {
		return s, err
	}
	_, err = box.Receipt(ctx, s.ID)
	switch {
	case err == nil:
		s.State = ""
	case errors.Is(err, repo.ErrReceipt):
		s.State, s.Error, err = stateUnreadable, err.Error(), nil // the signer will not get past it either
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	return s, err
}

func lastReceipts(ctx context.Context, box repo.Inbox, last int) ([]submitted, error) {
	var entries []storage.Entry
	for e, err := range box.Store.List(ctx, repo.ReceiptsDir(box.Collection)) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b storage.Entry) int { return a.Modified.Compare(b.Modified) })
	all := []submitted{}
	for _, e := range entries[max(0, len(entries)-last):] {
		p, ok := repo.ParsePrivate(e.Key)
		if !ok {
			continue
		}
		r, err := box.Receipt(ctx, p.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // expired meanwhile
		case errors.Is(err, repo.ErrReceipt):
			all = append(all, submitted{Submitted: e.Modified.UTC().Truncate(time.Second), ID: p.Name, State: stateUnreadable, Error: err.Error()})
		case err != nil:
			return nil, err
		default:
			all = append(all, answered(r, p.Name, e.Modified))
		}
	}
	return all, nil
}

func answered(r *repo.Receipt, id string, at time.Time) submitted {
	s := submitted{Submitted: at.UTC().Truncate(time.Second), ID: id, State: "committed", Versions: r.Versions}
	if r.Refused != nil {
		s.State, s.Error = r.Refused.Kind, r.Err().Error()
	}
	return s
}

func printSubmissions(w io.Writer, all []submitted) error {
	if len(all) == 0 {
		return nil
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		what := versionList(s.Versions)
		if s.Error != "" {
			what = printable(s.Error)
		}
		name := s.Name
		if name == "" {
			name = tuf.ShortID(s.ID)
		}
		rows[i] = []string{s.Submitted.Format(time.RFC3339), name, printable(s.State), orDash(what)}
	}
	return printTable(w, []string{"SUBMITTED", "NAME", "STATE", "WHAT"}, rows)
}
