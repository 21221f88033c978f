package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
)

type refreshOptions struct {
	all   bool
	force bool
}

func newRefresh(a *app) *cobra.Command {
	var o refreshOptions
	cmd := &cobra.Command{
		Use:     "refresh COLLECTION | --all",
		Short:   "Sign snapshot and timestamp again before they expire",
		GroupID: groupKeep,
		Long: `Sign snapshot and timestamp again, each when less than half of its life is left.
It also works when they have expired. Run it from cron, at least four times
within the timestamp's life; when nothing is due it costs one read.

An online signer does so by itself; of its collections it is asked to look now.`,
		Example: `  publisher refresh example.com/scripts
  publisher refresh --all --no-input --passphrase-file /etc/publisher/passphrase`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all && len(args) == 1 {
				return exclusive("COLLECTION", "--all")
			}
			if !o.all && len(args) == 0 {
				return usage("publisher refresh COLLECTION, or publisher refresh --all", "either a collection or --all is needed")
			}
			return runRefresh(cmd.Context(), a, args, o)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "every collection of the trust directory that has a store; those not published yet, and those whose keys are not here, are skipped")
	cmd.Flags().BoolVar(&o.force, "force", false, "also when nothing is due; a signer then signs the timestamp alone")
	return cmd
}

// refreshed is what became of one collection.
type refreshed struct {
	Collection string           `json:"collection"`
	Refreshed  bool             `json:"refreshed"`
	Versions   map[string]int64 `json:"versions,omitempty"`
	Skipped    string           `json:"skipped,omitempty"` // why it is not for this trust directory
	Error      string           `json:"error,omitempty"`
}

// runRefresh refreshes every collection that it can: one that fails does not
// keep the others from being renewed.
func runRefresh(ctx context.Context, a *app, names []string, o refreshOptions) error {
	if o.all {
		var err error
		if names, err = a.ownCollections(); err != nil {
			return err
		}
	}
	results, failed := []refreshed{}, []error{}
	for _, name := range names {
		r, err := a.refresh(ctx, name, o.force)
		if err == nil {
			a.warnExpiring(name)
		}
		if o.all && err != nil {
			r.Skipped = skipped(err)
		}
		if err != nil && r.Skipped == "" {
			r.Error = oneLine(err.Error())
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
		results = append(results, r)
	}
	if len(names) > 1 {
		a.named = ""
	}
	if err := a.result(results, func(w io.Writer) error { return printRefreshed(w, results) }); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// skipped is why --all passes over a collection that cannot be refreshed from
// here: it is somebody else's, or not there yet. It is empty for a failure.
func skipped(err error) string {
	var missing *repo.ThresholdError
	switch {
	case errors.Is(err, repo.ErrNotPublished):
		return "not published yet"
	case errors.As(err, &missing) && missing.Have == 0:
		return "the " + missing.Role + " key is not here"
	}
	return ""
}

// ownCollections is those of the trust directory that are published from here.
func (a *app) ownCollections() ([]string, error) {
	all, err := a.trust.Collections()
	if err != nil {
		return nil, err
	}
	var own []string
	for _, name := range all {
		_, s, err := a.known(name)
		if err != nil {
			return nil, err
		}
		if a.placed(name, s).Store != "" || a.flags.store != "" {
			own = append(own, name)
		}
	}
	if len(own) == 0 {
		return nil, &cliError{err: fmt.Errorf("no collection in %s has a store", a.trust.Path()), hint: "publisher init COLLECTION --store URL", code: exitNotFound}
	}
	return own, nil
}

// refresh takes no lock: a publish may hold it for as long as its user thinks of
// a passphrase, and the compare-and-swap keeps the two apart.
func (a *app) refresh(ctx context.Context, name string, force bool) (refreshed, error) {
	r := refreshed{Collection: name}
	c, _, err := a.known(name)
	if err != nil {
		return r, err
	}
	signer, err := a.online(ctx, c)
	if err != nil {
		return r, err
	}
	if signer != nil {
		return signer.refresh(ctx, force)
	}
	committer, err := a.committer(ctx, c)
	if err != nil {
		return r, err
	}
	receipt, err := committer.Refresh(ctx, force)
	if err != nil {
		return r, err
	}
	if receipt != nil {
		r.Refreshed, r.Versions = true, receipt.Versions
		a.debugf("%s committed: %s", name, versionList(receipt.Versions))
	}
	return r, nil
}

// refresh has the signer sign what is due, or with force a new timestamp.
func (o *online) refresh(ctx context.Context, force bool) (refreshed, error) {
	r := refreshed{Collection: o.c.Name()}
	if force {
		receipt, err := o.renew(ctx)
		if err == nil {
			r.Refreshed, r.Versions = true, receipt.Versions
		}
		return r, err
	}
	defer o.app.wait("waiting for the signer")()
	var counts lambda.Counts
	err := o.signer.ask(ctx, lambda.Request{Action: lambda.ActionRefresh, Collection: o.c.Name()}, &counts)
	r.Refreshed = counts.Refreshed > 0
	return r, err
}

const (
	renewTries = 20 // others may be asking too
	renewPause = 2 * time.Second
)

// renew has the signer sign a new timestamp, when it has signed none for some
// seconds.
func (o *online) renew(ctx context.Context) (*repo.Receipt, error) {
	for try := 1; ; try++ {
		receipt, err := o.renewNow(ctx)
		var soon *soonError
		if !errors.As(err, &soon) {
			return receipt, err
		}
		if try == renewTries {
			return nil, &cliError{err: err, code: exitConflict, hint: "somebody keeps asking the signer: run the same command again in a minute"}
		}
		if err := o.app.sleep(ctx, renewPause); err != nil {
			return nil, err
		}
	}
}

func (o *online) renewNow(ctx context.Context) (*repo.Receipt, error) {
	defer o.app.wait("waiting for the signer")()
	var receipt repo.Receipt
	err := o.signer.ask(ctx, lambda.Request{Action: lambda.ActionRenew, Collection: o.c.Name()}, &receipt)
	return &receipt, err
}

func printRefreshed(w io.Writer, results []refreshed) error {
	for _, r := range results {
		text := "nothing due"
		switch {
		case r.Error != "":
			text = "failed"
		case r.Skipped != "":
			text = "skipped: " + r.Skipped
		case r.Refreshed && r.Versions == nil:
			text = "refreshed by the signer"
		case r.Refreshed:
			text = fmt.Sprintf("snapshot %d, timestamp %d", r.Versions[tuf.RoleSnapshot], r.Versions[tuf.RoleTimestamp])
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", r.Collection, text); err != nil {
			return err
		}
	}
	return nil
}
