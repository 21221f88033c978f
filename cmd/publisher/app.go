package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/trust"
)

// app is what every verb works with: the global flags, the standard files and
// the trust directory.
type app struct {
	flags globals
	stdin *os.File
	out   *os.File // results
	err   *os.File // talk

	given     map[string]string // what flags say of the keys of the configuration
	config    *config.File
	trustFrom setting // the trust directory

	configFrom setting // the configuration file, empty if there is none

	inboxAlone bool // an inbox is of use without an online signer: for drafts

	onto map[string]*repo.View // what this command stages on, by collection

	named       string // the collection that this command is about, empty for several
	trust       *trust.Dir
	now         func() time.Time
	passphrases passphrases
}

func newApp(stdin, stdout, stderr *os.File) *app {
	return &app{stdin: stdin, out: stdout, err: stderr, now: time.Now}
}

// globals is the flags that every verb has.
type globals struct {
	config         string
	trustDir       string
	server         string
	store          string
	url            string
	tlsCACert      string
	tlsCert        string
	tlsKey         string
	online         string
	inbox          string
	json           bool
	quiet          bool
	verbose        bool
	debug          bool
	noInput        bool
	yes            bool
	passphraseFile string
	now            string
}

func (g *globals) add(f *pflag.FlagSet) {
	f.StringVarP(&g.trustDir, "trust-dir", "d", "", "`directory` of keys, trusted roots and staged changes (default $PUBLISHER_TRUST_DIR, or ~/.publisher)")
	f.StringVarP(&g.config, "config", "c", "", "configuration `file` (default $PUBLISHER_CONFIG, or config.yaml in the trust directory)")
	f.StringVarP(&g.server, "server", "s", "", "what Notary's clients call its server: there is none here")
	f.StringVar(&g.store, "store", "", "`URL` of the store to publish to: file:///dir, s3://bucket/prefix, minio://host/bucket/prefix (default $PUBLISHER_STORE, or that of init)")
	f.StringVar(&g.url, "url", "", "HTTPS `URL` to read from, in place of the store: metadata is at URL/COLLECTION/metadata (default $PUBLISHER_URL)")
	f.StringVar(&g.tlsCACert, "tlscacert", "", "`file` of the CA certificates that --url may be signed by")
	f.StringVar(&g.tlsCert, "tlscert", "", "`file` of the certificate by which --url knows this client")
	f.StringVar(&g.tlsKey, "tlskey", "", "`file` of the private key of --tlscert, unencrypted")
	f.StringVar(&g.online, "online", "", "the online `signer` that holds the keys of snapshot and timestamp: lambda:NAME[?region=REGION&endpoint=URL] (default that of init)")
	f.StringVar(&g.inbox, "inbox", "", "`URL` of the private store where the online signer finds submissions (default that of init)")
	f.BoolVar(&g.json, "json", false, "print results as JSON")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "tell what happens")
	f.BoolVarP(&g.debug, "debug", "D", false, "tell what happens, and every request to a store")
	f.BoolVar(&g.noInput, "no-input", false, "never ask: fail instead")
	f.BoolVar(&g.yes, "yes", false, "answer yes to every question")
	f.StringVar(&g.passphraseFile, "passphrase-file", "", "`file` whose first line is the passphrase of every key")
	f.StringVar(&g.now, "now", "", "the time to go by, as seconds since 1970 or RFC 3339")
	for _, name := range []string{"now", "server"} { // for tests; for those who come from Notary
		_ = f.MarkHidden(name) // it exists, so this cannot fail
	}
}

// start finds out what flags, environment and configuration say. It runs before
// every verb.
func (a *app) start(cmd *cobra.Command) error {
	a.given = a.flags.places()
	if a.flags.server != "" {
		return notaryServer(cmd)
	}
	if a.flags.quiet && (a.flags.verbose || a.flags.debug) {
		return usage("leave out one of them", "--quiet contradicts --verbose and --debug")
	}
	a.flags.verbose = a.flags.verbose || a.flags.debug
	if err := a.setClock(); err != nil {
		return err
	}
	if err := a.configure(); err != nil {
		return err
	}
	for key, value := range map[string]*string{config.Store: &a.flags.store, config.URL: &a.flags.url} {
		if *value == "" {
			*value = os.Getenv(variable(key))
		}
	}
	return nil
}

// notaryServer tells who comes from Notary what stands in place of its server:
// one flag for those who publish, another for those who read, so that neither
// can be taken for the other.
func notaryServer(cmd *cobra.Command) error {
	flag := "--store URL, the store to publish to"
	if cmd.GroupID == groupRead {
		flag = "--url URL, where to read from"
	}
	return usage(cmd.CommandPath()+" takes "+flag, "there is no server, and no --server")
}

// defaultTrustDir is where the trust directory is unless somebody says where.
func defaultTrustDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usage("publisher --trust-dir DIR …", "no trust directory: %w", err)
	}
	return filepath.Join(home, ".publisher"), nil
}

func (a *app) setClock() error {
	if a.flags.now == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, a.flags.now)
	if seconds, e := strconv.ParseInt(a.flags.now, 10, 64); e == nil {
		t, err = time.Unix(seconds, 0), nil
	}
	if err != nil {
		return usage("--now 2026-01-02T15:04:05Z", "--now %q is not a time", a.flags.now)
	}
	// Time goes on from there, so that what takes time can be seen.
	started := time.Now()
	a.now = func() time.Time { return t.Add(time.Since(started)) }
	return nil
}

// collection is one collection of the trust directory, by the name that the
// user gave.
func (a *app) collection(name string) (*trust.Collection, error) {
	if err := repo.CheckCollection(name); err != nil {
		return nil, err
	}
	a.named = name
	return a.trust.Collection(name), nil
}

// known is a collection that was initialized or trusted here before, with its
// settings.
func (a *app) known(name string) (*trust.Collection, trust.Settings, error) {
	c, err := a.collection(name)
	if err != nil {
		return nil, trust.Settings{}, err
	}
	s, err := c.Settings()
	if errors.Is(err, fs.ErrNotExist) {
		err = &cliError{
			err:  fmt.Errorf("%s is not initialized in %s", name, a.trust.Path()),
			hint: fmt.Sprintf("publisher init %[1]s --store URL to make it, publisher trust add %[1]s --root FILE to read it", name),
			code: exitNotFound,
		}
	}
	return c, s, err
}
