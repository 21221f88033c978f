package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/internal/config"
	"publisher/lambda"
	"publisher/repo/keys/sealed"
	"publisher/storage"
	"publisher/trust"
)

type signerOptions struct {
	keys         string
	create       []string
	genesis      []string
	listen       string
	allowRemote  bool
	refreshEvery time.Duration
	windows      string
	concurrency  int
	stopWithin   time.Duration
}

func newSigner(a *app) *cobra.Command {
	var o signerOptions
	cmd := &cobra.Command{
		Use:   "signer --store URL --inbox URL --keys sealed:passphrase-file=FILE",
		Short: "Run an online signer, which holds the keys of snapshot and timestamp",
		Long: `Run an online signer until interrupted: it checks the submissions in the inbox,
signs snapshot and timestamp for them, publishes, and signs again what is about
to expire. It is what runs on AWS Lambda, as a daemon, and is asked in the same
way: --online lambda:signer?endpoint=http://ADDRESS.

Its keys are made on first use and stored in the inbox, encrypted under the
passphrase in a file. Nobody else should be able to write metadata to the store,
nor to read the file.

There is no authentication: whoever can reach its address can ask. That gains
them nothing that is not submitted, signed, in the inbox.

Where the inbox is on an S3-compatible server, that server's notifications of
new objects can go to the same address: they have submissions committed that
nobody waits for, without waiting for the schedule.

It answers GET /health, and GET /metrics in the format of Prometheus; it logs to
stderr as lines of JSON, and ends after what it is doing when it gets SIGINT or
SIGTERM: at the latest after the time that --stop-within gives.`,
		Example: `  publisher signer --store s3://bucket --inbox s3://inbox --keys sealed:passphrase-file=/etc/publisher/passphrase --create example.com
  publisher signer --store file:///srv/tuf --inbox file:///srv/inbox --keys sealed:passphrase-file=pass --listen unix:/run/publisher.sock
  publisher signer --store s3://bucket --inbox s3://inbox --keys sealed:passphrase-file=pass --create example.com --genesis example.com/scripts=$(sha256sum < 1.root.json | cut -d' ' -f1)`,
		GroupID: groupKeep,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(a); err != nil {
				return err
			}
			return a.runSigner(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.keys, "keys", "", "how keys are kept: `sealed:passphrase-file=FILE`, encrypted in the inbox")
	f.StringSliceVar(&o.create, "create", nil, "let collections of this `name`, and below it, be created; may be repeated (default none)")
	f.StringSliceVar(&o.genesis, "genesis", nil, "take only the first root with this SHA-256 for a collection, as `collection=sha256`; may be repeated")
	f.StringVar(&o.listen, "listen", "127.0.0.1:4444", "`address` to listen on, or unix:PATH; port 0 picks a free one")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "listen on an address that other machines reach")
	f.DurationVar(&o.refreshEvery, "refresh-every", time.Minute, "`how often` to look for what is due and for what nobody asked about")
	f.StringVar(&o.windows, "refresh-window", "", "`when` to renew all that is due, such as 02:00-05:00 or mon-fri 22:00-04:00, in UTC, with commas between; at other times only what cannot wait (default always)")
	f.IntVar(&o.concurrency, "concurrency", defaultInvocations, "answer this `many` requests at once; whoever comes then is told to ask again")
	f.DurationVar(&o.stopWithin, "stop-within", defaultGrace, "`how long` what is under way may go on when it is told to end")
	return cmd
}

const keysHint = "--keys sealed:passphrase-file=FILE"

func (o *signerOptions) check(a *app) error {
	layers := a.layers("", trust.Settings{})
	a.flags.store, a.flags.inbox = valueOf(layers, config.Store).value, valueOf(layers, config.Inbox).value
	switch {
	case a.flags.store == "":
		return usage(storeHint, "no store given")
	case a.flags.inbox == "":
		return usage("--inbox URL", "no inbox given")
	case o.refreshEvery < time.Second:
		return usage("--refresh-every 1m", "--refresh-every %v is less than a second", o.refreshEvery)
	case o.concurrency < 1:
		return usage(fmt.Sprintf("--concurrency %d", defaultInvocations), "--concurrency %d answers nobody", o.concurrency)
	case o.stopWithin < 0:
		return usage("--stop-within 25s", "--stop-within %v is negative", o.stopWithin)
	}
	if _, err := lambda.ParseWindows(o.windows); err != nil {
		return usage("--refresh-window 02:00-05:00", "--refresh-window: %w", err)
	}
	for _, name := range o.create {
		if err := lambda.CheckCreate(name); err != nil {
			return usage("--create example.com, or --create example.com/", "--create: no collection's name begins with %q: %w", name, err)
		}
	}
	if _, err := lambda.FirstRoots(o.genesis...); err != nil {
		return usage("--genesis example.com/scripts=SHA256, as sha256sum prints it of 1.root.json", "--genesis: %w", err)
	}
	return checkApart(a.flags.store, a.flags.inbox)
}

// checkApart refuses an inbox that would be served.
func checkApart(store, inbox string) error {
	s, err := url.Parse(store)
	if err != nil {
		return usage(storeHint, "store %q is not a URL", store)
	}
	i, err := url.Parse(inbox)
	if err != nil {
		return usage("--inbox URL", "inbox %q is not a URL", inbox)
	}
	public, private := strings.Trim(s.Path, "/")+"/", strings.Trim(i.Path, "/")+"/"
	if public == "/" {
		public = ""
	}
	if private == "/" {
		private = ""
	}
	if s.Scheme == i.Scheme && s.Host == i.Host && (strings.HasPrefix(private, public) || strings.HasPrefix(public, private)) {
		return usage("--inbox URL, with a bucket or prefix of its own", "one of the store %s and the inbox %s lies in the other: private keys would be served", s.Redacted(), i.Redacted())
	}
	return nil
}

func (a *app) runSigner(ctx context.Context, o signerOptions) error {
	sealer, err := a.sealer(o.keys)
	if err != nil {
		return err
	}
	public, err := openStore(ctx, a.flags.store)
	if err != nil {
		return err
	}
	private, err := openStore(ctx, a.flags.inbox)
	if err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	listener, err := a.listenSigner(o)
	if err != nil {
		return err
	}
	defer listener.Close()
	d := a.newDaemon(public, private, sealer, slog.LevelInfo)
	if err := o.apply(d, a.flags.inbox); err != nil {
		return err
	}
	if err := a.result(map[string]string{"online": onlineURL(listener.Addr())}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "signer %s\n", onlineURL(listener.Addr()))
		return err
	}); err != nil {
		return err
	}
	return d.run(ctx, listener)
}

// apply has the daemon do what the flags say.
func (o *signerOptions) apply(d *daemon, inbox string) (err error) {
	d.every, d.grace, d.slots = o.refreshEvery, o.stopWithin, make(chan struct{}, o.concurrency)
	d.signer.Create = lambda.CreateBelow(o.create...)
	if d.signer.Genesis, err = lambda.FirstRoots(o.genesis...); err != nil {
		return err
	}
	if d.signer.Windows, err = lambda.ParseWindows(o.windows); err != nil {
		return err
	}
	d.signer.Bucket, d.signer.Prefix, err = bucketOf(inbox)
	return err
}

// newDaemon is a signer that logs to stderr, with --quiet what is wrong alone.
func (a *app) newDaemon(public, private storage.Store, sealer sealed.Sealer, level slog.Level) *daemon {
	if a.flags.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: level}))
	return newDaemon(&lambda.Signer{
		Public: public, Private: private, Keys: lambda.SealedKeys{Sealer: sealer}, Now: a.now, Log: log,
	}, log)
}

// sealer reads --keys.
func (a *app) sealer(keys string) (sealed.Sealer, error) {
	kind, rest, _ := strings.Cut(keys, ":")
	name, file, _ := strings.Cut(rest, "=")
	if kind != "sealed" || name != "passphrase-file" || file == "" {
		return nil, usage(keysHint, "--keys %q is no way to keep keys", keys)
	}
	passphrase, err := a.firstLine(file)
	if err != nil {
		return nil, err
	}
	if err := longEnough(passphrase, file); err != nil {
		return nil, err
	}
	return sealed.NewPassphrase(passphrase)
}

func (a *app) listenSigner(o signerOptions) (net.Listener, error) {
	const hint = "--listen 127.0.0.1:4444 or unix:PATH"
	if path, ok := strings.CutPrefix(o.listen, "unix:"); ok {
		return listenUnix(path, hint)
	}
	address, err := net.ResolveTCPAddr("tcp", o.listen)
	if err != nil {
		return nil, usage(hint, "--listen %q is not an address: %w", o.listen, err)
	}
	if !address.IP.IsLoopback() {
		if !o.allowRemote {
			return nil, usage(hint+", or --allow-remote", "other machines can reach %s, and there is no authentication", o.listen)
		}
		a.warnf("other machines can reach %s, and there is no authentication", o.listen)
	}
	listener, err := net.ListenTCP("tcp", address)
	return listener, hinted(err, "--listen 127.0.0.1:0 takes a free port")
}

// listenUnix takes over the socket of a signer that was killed, and not that of
// one that runs.
func listenUnix(path, hint string) (net.Listener, error) {
	if path == "" {
		return nil, usage(hint, "--listen unix: names no file")
	}
	listener, err := net.Listen("unix", path)
	if err == nil {
		return listener, os.Chmod(path, 0o600)
	}
	info, statErr := os.Lstat(path)
	if statErr != nil || info.Mode().Type() != os.ModeSocket {
		return nil, hinted(err, "%s", hint)
	}
	if conn, dialErr := net.Dial("unix", path); dialErr == nil {
		return nil, &cliError{err: errors.Join(fmt.Errorf("a signer listens on %s already", path), conn.Close()), hint: "--listen unix:PATH with another PATH", code: exitConflict}
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	if listener, err = net.Listen("unix", path); err != nil {
		return nil, err
	}
	return listener, os.Chmod(path, 0o600)
}

// onlineURL is what to give to --online.
func onlineURL(address net.Addr) string {
	endpoint := "http://" + address.String()
	if address.Network() == "unix" {
		endpoint = "unix://" + address.String()
	}
	return "lambda:signer?endpoint=" + endpoint
}
