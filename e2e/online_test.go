package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"publisher/internal/interop"
)

// A devProcess is publisher dev: a store, an inbox, a signer and a server.
type devProcess struct {
	URL    string `json:"url"`
	Store  string `json:"store"`
	Inbox  string `json:"inbox"`
	Online string `json:"online"`
}

// startDev starts publisher dev in a trust directory of its own, and ends it in
// order when the test is over.
func startDev(t *testing.T) devProcess {
	t.Helper()
	o := newOwner(t, store{})
	cmd := o.command(context.WithoutCancel(t.Context()), "dev", "--http", "--listen", "127.0.0.1:0", "--json")
	out, talk := untilEnd(t, cmd, os.Interrupt)
	var d devProcess
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		t.Fatalf("publisher dev said nothing: %v\n%s", err, talk)
	}
	return d
}

func (d devProcess) flags() []string { return []string{"--inbox", d.Inbox, "--online", d.Online} }

func (d devProcess) served() store { return store{url: d.Store, public: d.URL} }

// pullers is stock clients that pull all the time while the test goes on, one
// after the other and each from nothing, and clients that remember what they saw.
type pullers struct {
	t     *testing.T
	job   interop.Pull // without targets: what is there changes all the time
	state string       // of those that remember
	pulls int
	stop  func()
}

func startPulling(t *testing.T, job interop.Pull) *pullers {
	t.Helper()
	p := &pullers{t: t, job: job, state: t.TempDir()}
	p.job.Targets = nil
	clients := interop.Clients(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			c := clients[p.pulls%len(clients)]
			if err := c.Pull(ctx, p.job); err != nil && ctx.Err() == nil {
				t.Errorf("in the background, pull %d: %v", p.pulls, err)
			}
			p.pulls++
		}
	}()
	p.stop = func() { cancel(); <-ended }
	t.Cleanup(p.stop)
	return p
}

// all has every client pull with what it remembers, and a fresh one, and get
// exactly what is there.
func (p *pullers) all(step string, there files) {
	p.t.Helper()
	p.each(interop.Clients(p.t), step, there)
}

// one does so with the client that takes the least time.
func (p *pullers) one(step string, there files) {
	p.t.Helper()
	p.each(interop.Clients(p.t)[:1], step, there)
}

func (p *pullers) each(clients []interop.Client, step string, there files) {
	p.t.Helper()
	for _, dir := range []string{p.state, ""} {
		job := p.job
		job.Dir, job.Targets = dir, there.sums()
		for _, c := range clients {
			if err := c.Pull(p.t.Context(), job); err != nil {
				p.t.Errorf("after %s, in %q: %v", step, dir, err)
			}
		}
	}
}

// TestOnlineStory: a collection with a signer from the start, and one that moves
// its keys there and back, read before, during and after every step by clients
// that others wrote.
func TestOnlineStory(t *testing.T) {
	d := startDev(t)
	t.Run("online from the start", func(t *testing.T) {
		t.Parallel()
		s := newStory(t, d, "example.com/scripts", d.flags()...)
		s.step("add", files{"install.sh": "echo 1\n"})
		s.step("add", files{"install.sh": "echo 2\n", "dir/other": "x"})
		s.remove("install.sh")
		s.step("add", files{"last": "3"})
		s.rotate("snapshot", "-r")
		s.step("add", files{"after": "4"})
		s.end()
	})
	t.Run("moves", func(t *testing.T) {
		t.Parallel()
		s := newStory(t, d, "example.com/moves", "--publish")
		s.step("add", files{"local": "1"})
		s.rotate("snapshot", append(d.flags(), "-r")...)
		s.step("add", files{"online": "2"})
		s.rotate("timestamp", "--local", "--no-passphrase")
		s.step("add", files{"local again": "3"})
		s.rotate("timestamp", append(d.flags(), "-r")...)
		s.remove("local")
		s.rotate("snapshot", "--local", "--no-passphrase")
		s.step("add", files{"end": "4"})
		s.end()
	})
}

// A story is one collection's.
type story struct {
	*owner
	t       *testing.T
	name    string
	there   files
	pullers *pullers
}

func newStory(t *testing.T, d devProcess, name string, flags ...string) *story {
	s := &story{owner: newOwner(t, d.served()), t: t, name: name, there: files{}}
	root := s.init(t, name, flags...)
	s.pullers = startPulling(t, pull(t, d.served(), name, root, nil))
	s.pullers.all("init", s.there)
	return s
}

// end is how every story ends: everybody gets what is there, and it is whole.
func (s *story) end() {
	s.t.Helper()
	s.pullers.all("the end", s.there)
	s.pullers.stop()
	s.t.Logf("%d pulls in the background", s.pullers.pulls)
	if s.pullers.pulls < 10 {
		s.t.Error("too few pulls in the background to tell")
	}
	if n := s.check(s.t, s.name); n != len(s.there) {
		s.t.Errorf("check counts %d targets, want %d", n, len(s.there))
	}
}

func (s *story) step(what string, f files) {
	s.t.Helper()
	tree := s.t.TempDir()
	f.write(s.t, tree)
	maps.Copy(s.there, f)
	s.run(s.t, "add", s.name, "-R", tree, "--publish")
	s.pullers.all(what, s.there)
}

func (s *story) remove(name string) {
	s.t.Helper()
	delete(s.there, name)
	s.run(s.t, "remove", s.name, name, "--publish")
	s.pullers.all("remove", s.there)
}

func (s *story) rotate(role string, flags ...string) {
	s.t.Helper()
	s.run(s.t, append([]string{"key", "rotate", s.name, role, "--yes", "--grace", "2s"}, flags...)...)
	s.pullers.all(fmt.Sprint("rotate ", flags), s.there)
}

// A gate is in front of the signer and decides what becomes of requests.
type gate struct {
	url string

	mu     sync.Mutex
	before func(event string) bool // false: the request never arrives
	after  func(event string) bool // false: the answer never does
}

func newGate(t *testing.T, online string) *gate {
	t.Helper()
	_, query, _ := strings.Cut(online, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(values.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	g.set(nil, nil)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		before, after := g.get()
		if !before(string(body)) {
			<-r.Context().Done()
			return
		}
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		if !after(string(body)) {
			<-r.Context().Done()
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	g.url = "lambda:signer?endpoint=" + server.URL
	return g
}

func always(string) bool { return true }

func (g *gate) set(before, after func(string) bool) {
	if before == nil {
		before = always
	}
	if after == nil {
		after = always
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before, g.after = before, after
}

func (g *gate) get() (before, after func(string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.before, g.after
}

// killAt kills publisher with SIGKILL when the gate sees a request of that
// action, before or after the signer does.
func (g *gate) killAt(t *testing.T, o *owner, action string, after bool, args ...string) {
	t.Helper()
	seen := make(chan struct{})
	var once sync.Once
	hold := func(event string) bool {
		if !strings.Contains(event, `"action":"`+action+`"`) {
			return true
		}
		once.Do(func() { close(seen) })
		return false
	}
	if after {
		g.set(nil, hold)
	} else {
		g.set(hold, nil)
	}
	defer g.set(nil, nil)
	cmd := o.command(t.Context(), args...)
	var talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-seen:
		_ = cmd.Process.Kill()
		<-ended
	case err := <-ended:
		t.Fatalf("publisher %s never asked to %s: %v\n%s", strings.Join(args, " "), action, err, &talk)
	}
}

// commits counts the versions of targets that were written: one more for each
// publish, and none for one that is made again.
func (d devProcess) commits(t *testing.T, collection string) int {
	t.Helper()
	u, err := url.Parse(d.Store)
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(filepath.FromSlash(u.Path), filepath.FromSlash(collection), "metadata", "*.targets.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestOnlineKilled kills the command line before and after the signer has its
// request, and at moments spread over the whole run. A re-run completes it, and
// nothing is published twice.
func TestOnlineKilled(t *testing.T) {
	d := startDev(t)
	g := newGate(t, d.Online)
	o := newOwner(t, d.served())
	const collection = "example.com/killed"
	o.init(t, collection, "--inbox", d.Inbox, "--online", g.url)
	n := 0
	for _, after := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "file")
		files{"file": fmt.Sprint(after)}.write(t, filepath.Dir(file))
		o.run(t, "add", collection, "file", file)
		before := d.commits(t, collection)
		g.killAt(t, o, "commit", after, "publish", collection)
		n++
		out := o.run(t, "publish", collection)
		if !bytes.HasPrefix(out, []byte("published ")) || d.commits(t, collection) != before+1 {
			t.Errorf("killed (after: %v) and run again: %d versions in place of 1, %s", after, d.commits(t, collection)-before, out)
		}
		if out := o.run(t, "publish", collection); !bytes.HasPrefix(out, []byte("nothing to publish")) {
			t.Errorf("run once more: %s", out)
		}
	}
	testKilledAnywhere(t, d, o, collection)
}

// TestOnlineInitKilled: an init that is killed when the signer may have its
// first root keeps the keys of it, and publish completes it.
func TestOnlineInitKilled(t *testing.T) {
	d := startDev(t)
	g := newGate(t, d.Online)
	for name, after := range map[string]bool{"example.com/before": false, "example.com/after": true} {
		o := newOwner(t, d.served())
		init := []string{"init", name, "--store", d.Store, "--inbox", d.Inbox, "--online", g.url, "--no-passphrase"}
		g.killAt(t, o, "commit", after, init...)
		if out := o.run(t, "publish", name); !bytes.HasPrefix(out, []byte("published "+name+": snapshot 1, targets 1, timestamp 1\n")) {
			t.Errorf("%s: publish printed %s", name, out)
		}
		o.check(t, name)
		if n := d.commits(t, name); n != 1 {
			t.Errorf("%s: %d versions of targets", name, n)
		}
	}
}

// TestOnlineInitRace: of two who make the same collection one gets it, and
// nothing is left with the other.
func TestOnlineInitRace(t *testing.T) {
	d := startDev(t)
	g := newGate(t, d.Online)
	const collection = "example.com/race"
	slow, fast := newOwner(t, d.served()), newOwner(t, d.served())
	arrived, goOn := make(chan struct{}), make(chan struct{})
	g.set(func(event string) bool {
		if strings.Contains(event, `"action":"commit"`) {
			close(arrived)
			<-goOn
		}
		return true
	}, nil)
	failed := make(chan error, 1)
	go func() {
		_, err := slow.try(t.Context(), "init", collection, "--store", d.Store, "--inbox", d.Inbox, "--online", g.url, "--no-passphrase")
		failed <- err
	}()
	<-arrived
	fast.init(t, collection, d.flags()...)
	close(goOn)
	err := <-failed
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 6 {
		t.Errorf("the slower one: %v", err)
	}
	if out := slow.run(t, "trust", "list"); len(out) > 0 {
		t.Errorf("the slower one trusts %s", out)
	}
	if out := slow.run(t, "key", "list", "--json"); string(bytes.TrimSpace(out)) != "[]" {
		t.Errorf("the slower one holds %s", out)
	}
	fast.check(t, collection)
}

func testKilledAnywhere(t *testing.T, d devProcess, o *owner, collection string) {
	took, killed := 0*time.Second, 0
	before := d.commits(t, collection)
	const runs = 20
	for i := range runs {
		tree := t.TempDir()
		files{fmt.Sprint("n/", i): fmt.Sprint(i)}.write(t, tree)
		o.run(t, "add", collection, "-R", tree)
		if i == 0 { // to see how long it takes
			started := time.Now()
			o.run(t, "publish", collection)
			took = time.Since(started)
			continue
		}
		if killPublish(t, o, collection, time.Duration(rand.Float64()*1.2*float64(took))) {
			killed++
		}
		o.run(t, "publish", collection)
		if n := o.check(t, collection); n != 1+i+1 {
			t.Fatalf("run %d: check counts %d targets, want %d", i, n, 1+i+1)
		}
	}
	if got := d.commits(t, collection) - before; got != runs {
		t.Errorf("%d versions of targets for %d publishes", got, runs)
	}
	t.Logf("a publish takes %v; %d of %d were killed before their end", took.Round(time.Millisecond), killed, runs-1)
	if killed < runs/4 {
		t.Errorf("only %d of %d were killed before their end", killed, runs-1)
	}
}

// TestRotateKilled kills key rotate at the requests it makes, and anywhere; the
// same command again completes it, with clients reading all the time.
func TestRotateKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen kills, each with a grace to wait for")
	}
	d := startDev(t)
	g := newGate(t, d.Online)
	s := newStory(t, d, "example.com/rotated", "--publish")
	s.step("add", files{"a": "1"})
	toSigner := []string{"key", "rotate", s.name, "snapshot", "--yes", "--grace", "1s", "-r", "--inbox", d.Inbox, "--online", g.url}
	toHere := []string{"key", "rotate", s.name, "snapshot", "--yes", "--grace", "1s", "--local", "--no-passphrase"}
	again := func(args []string, content string) {
		t.Helper()
		s.pullers.one("a kill", s.there)
		s.run(t, args...)
		s.pullers.one("the second run", s.there)
		tree := t.TempDir()
		files{"a": content}.write(t, tree)
		s.there["a"] = content
		s.run(t, "add", s.name, "-R", tree, "--publish")
		s.pullers.one("the publish after it", s.there)
	}
	for i, at := range []struct {
		action string
		after  bool
		args   []string
	}{
		{"rotate-key", false, toSigner},
		{"cosign", false, toHere},
		{"rotate-key", true, toSigner},
		{"cosign", true, toHere},
		{"cosign", true, toSigner},
	} {
		g.killAt(t, s.owner, at.action, at.after, at.args...)
		again(at.args, fmt.Sprint("request ", i))
	}
	g.killAt(t, s.owner, "commit", true, "key", "rotate", s.name, "timestamp", "--yes", "--grace", "1s", "-r")
	again([]string{"key", "rotate", s.name, "timestamp", "--yes", "--grace", "1s", "-r"}, "commit")

	took := 150 * time.Millisecond
	for i := range 4 {
		args := [][]string{toHere, toSigner}[i%2]
		cmd := s.command(t.Context(), args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Float64() * float64(took)))
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		again(args, fmt.Sprint("anywhere ", i))
	}
	s.end()
}
