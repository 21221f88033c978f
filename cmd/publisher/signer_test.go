package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"publisher/lambda"
	"publisher/repo/keys/sealed"
	"publisher/storage"
)

// A signerProcess is publisher signer at work. Each script has one, under this
// type as its name.
type signerProcess struct {
	cmd  *exec.Cmd
	talk *bytes.Buffer
}

// signerServer starts and ends "publisher signer" on a socket in $WORK, and sets
// $STORE, $INBOX and $ONLINE for it.
//
//	signer start [flags…]
//	signer stop            which has to end in order
//	signer kill
func signerServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: signer start|stop|kill")
	}
	s := ts.Value(signerProcess{}).(*signerProcess)
	switch args[0] {
	case "start":
		*s = startSigner(ts, ts.Getenv("WORK"), args[1:])
	case "stop":
		ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
		if err := s.cmd.Wait(); err != nil {
			ts.Fatalf("publisher signer: %v: %s", err, s.talk)
		}
	case "kill":
		ts.Check(s.cmd.Process.Kill())
		_ = s.cmd.Wait() // it was killed
	}
}

func startSigner(ts *testscript.TestScript, work string, flags []string) signerProcess {
	pass := filepath.Join(work, "signer.passphrase")
	ts.Check(os.WriteFile(pass, []byte("correct horse\n"), 0o600))
	ts.Setenv("STORE", "file://"+work+"/public")
	ts.Setenv("INBOX", "file://"+work+"/inbox")
	args := append([]string{
		"signer", "--store", ts.Getenv("STORE"), "--inbox", ts.Getenv("INBOX"), "--keys", "sealed:passphrase-file=" + pass,
		"--listen", "unix:" + filepath.Join(work, "s"), "--create", "example.com",
	}, flags...)
	s := signerProcess{exec.Command("publisher", args...), &bytes.Buffer{}}
	for _, name := range []string{"PATH", "HOME", "PUBLISHER_TRUST_DIR", "NO_COLOR"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	s.cmd.Stderr = s.talk
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		_ = s.cmd.Wait()
	})
	said := make([]byte, 1000)
	n, err := out.Read(said)
	if err != nil {
		ts.Fatalf("publisher signer said nothing: %v: %s", err, s.talk)
	}
	ts.Setenv("ONLINE", strings.TrimSpace(strings.TrimPrefix(string(said[:n]), "signer ")))
	awaitFirstRun(ts, filepath.Join(work, "inbox", "_signer", "walked.json"))
	return s
}

// awaitFirstRun waits until the schedule's first run has left its note in the
// inbox: a script that compares files would see it appear.
func awaitFirstRun(ts *testscript.TestScript, note string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(note); err == nil {
			return
		}
	}
	ts.Fatalf("the schedule's first run does not end: there is no %s", note)
}

// testDaemon is a daemon with empty stores in memory.
func testDaemon(t *testing.T) *daemon {
	t.Helper()
	sealer, err := sealed.NewPassphrase([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	d := newApp(nil, out, out).newDaemon(storage.NewMemory(), storage.NewMemory(), sealer, 0)
	d.signer.Create = lambda.CreateBelow("example.com")
	return d
}

// TestInvokeAPI: the daemon answers as Lambda does.
func TestInvokeAPI(t *testing.T) {
	server := httptest.NewServer(testDaemon(t).handler())
	defer server.Close()
	const path = "/2015-03-31/functions/signer/invocations"
	for _, row := range []struct {
		what, method, path, body string
		header                   [2]string
		status                   int
		failed                   bool
		answer                   string
	}{
		{what: "health", method: "GET", path: "/health", status: 200, answer: "ok"},
		{what: "an answer", method: "POST", path: path, body: scheduledEvent, status: 200, answer: `"refreshed":0`},
		{what: "a refusal", method: "POST", path: path, body: `{"action":"dance"}`, status: 200, failed: true, answer: `"errorType":"Refused"`},
		{what: "a name that may not be", method: "POST", path: path, body: `{"action":"keys","collection":"other.com"}`, status: 200, failed: true, answer: "only those below example.com"},
		{what: "asynchronous", method: "POST", path: path, body: scheduledEvent, header: [2]string{"X-Amz-Invocation-Type", "Event"}, status: 202},
		{what: "dry run", method: "POST", path: path, header: [2]string{"X-Amz-Invocation-Type", "DryRun"}, status: 204},
		{what: "unknown type", method: "POST", path: path, header: [2]string{"X-Amz-Invocation-Type", "Wait"}, status: 400, answer: "unknown invocation type"},
		{what: "a web page", method: "POST", path: path, body: scheduledEvent, header: [2]string{"Origin", "https://evil.example"}, status: 403},
		{what: "too large", method: "POST", path: path, body: strings.Repeat(" ", maxPayload+1), status: 413},
		{what: "read", method: "GET", path: path, status: 405},
		{what: "elsewhere", method: "POST", path: "/", status: 404},
	} {
		t.Run(row.what, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			if row.header[0] != "" {
				req.Header.Set(row.header[0], row.header[1])
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			failed := resp.Header.Get("X-Amz-Function-Error") != ""
			if resp.StatusCode != row.status || failed != row.failed || !strings.Contains(string(body), row.answer) {
				t.Errorf("%s, failed: %v, %s", resp.Status, failed, body)
			}
		})
	}
}

// stuck is a store whose listings wait until they are let go on.
type stuck struct {
	storage.Store
	begun, goOn chan struct{}
}

func (s *stuck) Get(ctx context.Context, key string) (storage.Object, error) {
	s.begun <- struct{}{}
	<-s.goOn
	return s.Store.Get(ctx, key)
}

// TestGracefulStop: what was begun is answered after the signal to end.
func TestGracefulStop(t *testing.T) {
	d := testDaemon(t)
	slow := &stuck{storage.NewMemory(), make(chan struct{}, 10), make(chan struct{})}
	d.signer.Public = slow
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, answered := make(chan error, 1), make(chan string, 1)
	go func() { ended <- d.run(ctx, listener) }()
	go func() {
		resp, err := http.Post("http://"+listener.Addr().String()+"/2015-03-31/functions/signer/invocations", "application/json",
			strings.NewReader(`{"action":"keys","collection":"example.com/a"}`))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-slow.begun
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("it ended in the middle of an invocation: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(slow.goOn)
	if got := <-answered; !strings.Contains(got, `"snapshot"`) {
		t.Errorf("answered %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
