package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"

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

	// Whether --store and --url were given: what the environment says of the
	// other does not count then.
	storeGiven, urlGiven bool

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
	trustDir       string
	store          string
	url            string
	tlsCACert      string
	online         string
	inbox          string
	json           bool
	quiet          bool
	verbose        bool
	noInput        bool
	yes            bool
	passphraseFile string
	now            string
}

func (g *globals) add(f *pflag.FlagSet) {
	f.StringVarP(&g.trustDir, "trust-dir", "d", "", "`directory` of keys, trusted roots and staged changes (default $PUBLISHER_TRUST_DIR, or ~/.publisher)")
	f.StringVar(&g.store, "store", "", "`URL` of the store to publish to: file:///dir, s3://bucket/prefix, minio://host/bucket/prefix (default $PUBLISHER_STORE, or that of init)")
	f.StringVar(&g.url, "url", "", "HTTPS `URL` to read from, in place of the store: metadata is at URL/COLLECTION/metadata (default $PUBLISHER_URL)")
	f.StringVar(&g.tlsCACert, "tlscacert", "", "`file` of the CA certificates that --url may be signed by")
	f.StringVar(&g.online, "online", "", "the online `signer` that holds the keys of snapshot and timestamp: lambda:NAME[?region=REGION&endpoint=URL] (default that of init)")
	f.StringVar(&g.inbox, "inbox", "", "`URL` of the private store where the online signer finds submissions (default that of init)")
	f.BoolVar(&g.json, "json", false, "print results as JSON")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "tell what happens")
	f.BoolVar(&g.noInput, "no-input", false, "never ask: fail instead")
	f.BoolVar(&g.yes, "yes", false, "answer yes to every question")
	f.StringVar(&g.passphraseFile, "passphrase-file", "", "`file` whose first line is the passphrase of every key")
	f.StringVar(&g.now, "now", "", "the time to go by, as seconds since 1970 or RFC 3339")
	_ = f.MarkHidden("now") // for tests; it exists, so this cannot fail
}

// start takes the defaults from the environment. It runs before every verb.
func (a *app) start() error {
	a.storeGiven, a.urlGiven = a.flags.store != "", a.flags.url != ""
	for env, value := range map[string]*string{
		"PUBLISHER_TRUST_DIR": &a.flags.trustDir,
		"PUBLISHER_STORE":     &a.flags.store,
		"PUBLISHER_URL":       &a.flags.url,
	} {
		if *value == "" {
			*value = os.Getenv(env)
		}
	}
	if a.flags.quiet && a.flags.verbose {
		return usage("leave out one of them", "--quiet and --verbose contradict each other")
	}
	if err := a.setClock(); err != nil {
		return err
	}
	return a.openTrust()
}

func (a *app) openTrust() error {
	if a.flags.trustDir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return usage("publisher --trust-dir DIR …", "no trust directory: %w", err)
		}
		a.flags.trustDir = filepath.Join(home, ".publisher")
	}
	a.trust = trust.Open(a.flags.trustDir)
	return nil
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
