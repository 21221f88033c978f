package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"publisher/repo"
)

func newVerify(a *app) *cobra.Command {
	var in, out string
	cmd := &cobra.Command{
		Use:   "verify COLLECTION NAME",
		Short: "Pass data on only if it is the target",
		Long: `Read data and compare it with the signed length and hashes of a target. Only if
all of it matches is it written to stdout, or to the file of --output; otherwise
nothing is, and the exit code is 3. With --quiet the exit code alone tells.`,
		Example:           "  curl -fsS https://example.com/install.sh | publisher verify example.com/scripts install.sh | sh",
		GroupID:           groupRead,
		Args:              exactly(2),
		ValidArgsFunction: a.completeTargets(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verify(cmd.Context(), args[0], args[1], in, out)
		},
	}
	cmd.Flags().StringVarP(&in, "input", "i", "", "read `FILE` in place of stdin")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write `FILE`, over what is there, in place of stdout")
	return cmd
}

func (a *app) verify(ctx context.Context, collection, name, in, out string) error {
	view, err := a.view(ctx, collection)
	if err != nil {
		return err
	}
	target, err := view.Lookup(ctx, name)
	if err != nil {
		return err
	}
	input := a.stdin
	if in != "" {
		if input, err = os.Open(in); err != nil {
			return err
		}
		defer input.Close()
	}
	if out == "" && a.flags.quiet {
		return wrongInput(copyTarget(ctx, io.Discard, input, target), collection, name)
	}
	output, err := a.output(out)
	if err != nil {
		return err
	}
	defer output.discard()
	if err := wrongInput(copyTarget(ctx, output, input, target), collection, name); err != nil {
		return err
	}
	return output.keep()
}

// wrongInput says of data that is not the target what to do about the data: there
// is nothing wrong with what is published.
func wrongInput(err error, collection, name string) error {
	if !errors.As(err, new(*repo.VerifyError)) {
		return err
	}
	return hinted(err, "the input is not what was published, do not use it: %s gets what was", toType("publisher download", collection, name))
}

// output is the file of that name, or stdout.
func (a *app) output(name string) (*output, error) {
	if name == "" {
		return a.toStdout()
	}
	return toFile(name, true)
}
