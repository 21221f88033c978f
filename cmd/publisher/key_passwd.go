package main

import (
	"github.com/spf13/cobra"
)

func newKeyPasswd(a *app) *cobra.Command {
	var s newSecret
	cmd := &cobra.Command{
		Use:   "passwd KEY-ID",
		Short: "Change the passphrase of a private key",
		Long: `Change the passphrase of a private key. The old one comes from --passphrase-file,
the environment or the terminal, the new one from --new-passphrase-file or the
terminal.`,
		Args:              exactly(1),
		ValidArgsFunction: a.completeKeys,
		RunE:              func(_ *cobra.Command, args []string) error { return runKeyPasswd(a, args[0], s) },
	}
	s.add(cmd)
	return cmd
}

func runKeyPasswd(a *app, id string, s newSecret) error {
	if err := s.check(); err != nil {
		return err
	}
	id, err := a.findKey(id)
	if err != nil {
		return err
	}
	held, err := a.heldKey(id)
	if err != nil {
		return err
	}
	key, err := a.unlockHeld(&held, held.Role)
	if err != nil {
		return err
	}
	passphrase, err := a.choosePassphrase(s, func() ([]byte, error) {
		return a.askNewPassphrase(held.Role, "use --new-passphrase-file FILE, or run this on a terminal")
	})
	if err != nil {
		return err
	}
	_, data, err := encodeKey(key, passphrase)
	if err != nil {
		return err
	}
	if err := a.trust.Keys().Replace(held.ID, data); err != nil {
		return err
	}
	a.infof("the %s is stored anew; copies of it elsewhere keep the old passphrase", &held)
	return nil
}
