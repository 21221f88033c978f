package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"publisher/internal/devca"
	"publisher/internal/durable"
	"publisher/internal/serve"
	"publisher/repo/keys/sealed"
	"publisher/storage"
	"publisher/storage/dir"
)

type devOptions struct {
	dir    string
	listen string
	signer string
	http   bool
}

func newDev(a *app) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Serve a directory store over HTTPS, with an online signer, for development",
		Long: `Serve the collections of a directory store on this machine, as a CDN in front of
a bucket would, and run an online signer for it, until interrupted. Publishing
into the store goes on meanwhile, through the signer or without it.

It prints the URL, the store, the signer and its inbox, and the certificate of a
CA made for this machine, which vouches for localhost, 127.0.0.1 and ::1 and
nothing else.`,
		Example: "  publisher dev\n  publisher dev --dir ./public --listen 127.0.0.1:0 --json",
		GroupID: groupRead,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.dev(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "`directory` of the store (default dev in the trust directory)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:4443", "`address` to listen on; port 0 picks a free one")
	f.StringVar(&o.signer, "signer", "", "loopback `address` of the online signer (default 127.0.0.1, the port after that of --listen)")
	f.BoolVar(&o.http, "http", false, "plain HTTP, on a loopback address only")
	return cmd
}

func (a *app) dev(ctx context.Context, o devOptions) error {
	if o.dir == "" {
		o.dir = filepath.Join(a.trust.Path(), "dev")
	}
	path, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if err := a.apart(path); err != nil {
		return hinted(err, "--dir DIR, a directory of its own")
	}
	served, err := a.describeServed(path)
	if err != nil {
		return err
	}
	store, err := dir.Open(path)
	if err != nil {
		return err
	}
	listener, err := a.listen(o)
	if err != nil {
		return err
	}
	defer listener.Close()
	served.URL = "http://" + listener.Addr().String()
	if !o.http {
		if listener, err = a.secure(listener, served); err != nil {
			return err
		}
	}
	signer, asked, err := a.devSigner(ctx, o, store, served)
	if err != nil {
		return err
	}
	defer asked.Close()
	if err := a.result(served, served.print); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveUntil(ctx, listener, a.logged(serve.Handler(store))) })
	group.Go(func() error { return signer.run(ctx, asked) })
	return group.Wait()
}

// devSigner is an online signer for the store, noted in served.
func (a *app) devSigner(ctx context.Context, o devOptions, public storage.Store, served *served) (*daemon, net.Listener, error) {
	private, err := openStore(ctx, served.Inbox)
	if err != nil {
		return nil, nil, fmt.Errorf("open inbox: %w", err)
	}
	sealer, err := a.devSealer()
	if err != nil {
		return nil, nil, err
	}
	if o.signer == "" {
		o.signer = portAfter(o.listen)
	}
	listener, err := a.listenSigner(signerOptions{listen: o.signer})
	if err != nil {
		return nil, nil, hinted(err, "--signer 127.0.0.1:0 takes a free port")
	}
	served.Online = onlineURL(listener.Addr())
	level := slog.LevelError
	if a.flags.verbose {
		level = slog.LevelInfo
	}
	d := a.newDaemon(public, private, sealer, level)
	d.signer.Create = func(string) error { return nil }
	if d.signer.Bucket, d.signer.Prefix, err = bucketOf(served.Inbox); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	return d, listener, nil
}

// devSealer has a passphrase of its own, made on first use.
func (a *app) devSealer() (sealed.Sealer, error) {
	file := filepath.Join(a.trust.Path(), "dev-signer.passphrase")
	if err := durable.MkdirAll(a.trust.Path(), 0o700); err != nil {
		return nil, err
	}
	err := durable.CreateFile(file, []byte(rand.Text()+"\n"), 0o600)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return a.sealer("sealed:passphrase-file=" + file)
}

// portAfter is the loopback address whose port comes after that of an address;
// a free one goes with a free one.
func portAfter(address string) string {
	_, text, _ := net.SplitHostPort(address) // it was listened on
	port, err := strconv.Atoi(text)
	if err != nil || port == 0 || port == 65535 {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+1))
}

func (a *app) listen(o devOptions) (net.Listener, error) {
	const hint = "--listen 127.0.0.1:4443"
	address, err := net.ResolveTCPAddr("tcp", o.listen)
	if err != nil {
		return nil, usage(hint, "--listen %q is not an address: %w", o.listen, err)
	}
	if !address.IP.IsLoopback() {
		if o.http {
			return nil, usage(hint, "--http goes with a loopback address, not --listen %s: anybody on the way could read and change it", o.listen)
		}
		a.warnf("%s can be reached from other machines, which will not accept its certificate", o.listen)
	}
	listener, err := net.ListenTCP("tcp", address)
	return listener, hinted(err, "--listen 127.0.0.1:0 takes a free port")
}

// secure is listener with TLS, noted in served.
func (a *app) secure(listener net.Listener, served *served) (net.Listener, error) {
	dir, err := filepath.Abs(filepath.Join(a.trust.Path(), "dev-ca"))
	if err != nil {
		return nil, err
	}
	cert, err := devca.Load(dir, time.Now())
	if err != nil {
		return nil, err
	}
	served.URL = "https" + strings.TrimPrefix(served.URL, "http")
	served.CA = filepath.Join(dir, devca.RootFile)
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"h2", "http/1.1"},
	}), nil
}

// served is what is told about a server.
type served struct {
	URL   string `json:"url"`
	Store string `json:"store"`
	CA    string `json:"tlscacert,omitempty"`

	Inbox  string `json:"inbox"`
	Online string `json:"online"`
}

// describeServed tells of the store in a directory, and of the inbox, which lies
// beside it, where it is not served.
func (a *app) describeServed(path string) (*served, error) {
	store := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if runtime.GOOS == "windows" {
		store.Path = "/" + store.Path
	}
	s := &served{Store: store.String(), Inbox: a.flags.inbox}
	if s.Inbox == "" {
		store.Path += "-inbox"
		s.Inbox = store.String()
	}
	return s, checkApart(s.Store, s.Inbox)
}

func (s *served) print(w io.Writer) error {
	ca, read := "none: plain HTTP", "--url "+s.URL
	if s.CA != "" {
		ca = s.CA
		read += " --tlscacert " + quoted(s.CA)
	}
	_, err := fmt.Fprintf(w, `URL    %s
store  %s
inbox  %s
signer %s
CA     %s

try, from another terminal:
  publisher init example.com/demo --store %s --inbox %s --online %s
  publisher add example.com/demo hello.txt FILE
  publisher publish example.com/demo
  publisher download example.com/demo hello.txt %s
`, s.URL, s.Store, s.Inbox, s.Online, ca, quoted(s.Store), quoted(s.Inbox), quoted(s.Online), read)
	return err
}

// serveUntil serves until ctx ends, which is no error, and then lets running
// requests come to their end for a moment.
func serveUntil(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that hang up are no news
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(patience); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

// logged tells of every request, with --verbose.
func (a *app) logged(h http.Handler) http.Handler {
	if !a.flags.verbose {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		started := time.Now()
		defer func() {
			a.debugf("%s %s %d %d %v", r.Method, r.URL.EscapedPath(), answer.status, answer.bytes, time.Since(started).Round(time.Millisecond))
		}()
		h.ServeHTTP(answer, r)
	})
}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}
