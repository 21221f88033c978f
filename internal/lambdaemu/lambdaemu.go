// Package lambdaemu runs the bootstrap binary of an AWS Lambda function the way
// the provided runtimes do, for tests: the Runtime API towards the binary, the
// Invoke API towards clients, on loopback interfaces.
//
// What differs from Lambda: failed initializations are not tried a second time,
// events that failed are tried again without a pause, memory is measured and
// not limited, and processes are not frozen between invocations.
package lambdaemu

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Lambda's quotas.
const (
	maxPayload  = 6 << 20 // bytes, of a synchronous request and of its response
	maxEvent    = 1 << 20 // bytes, of an asynchronous request
	initTimeout = 10 * time.Second
)

const (
	region  = "us-east-1"
	account = "123456789012"
)

// A Function is what a function's configuration says. Fields left zero have
// Lambda's defaults.
type Function struct {
	Name        string
	Bootstrap   string        // path of the binary
	Env         []string      // "NAME=value", in place of the emulator's own of that name
	Memory      int           // MB, 128 if zero: only told to the binary
	Timeout     time.Duration // 3 s if zero
	Concurrency int           // processes at the same time, 1 if zero
	Retries     int           // of an event that failed; -1 for none, 2 if zero
}

func (f Function) withDefaults() Function {
	set := func(n *int, standard int) {
		if *n == 0 {
			*n = standard
		}
	}
	set(&f.Memory, 128)
	set(&f.Concurrency, 1)
	set(&f.Retries, 2)
	if f.Timeout == 0 {
		f.Timeout = 3 * time.Second
	}
	return f
}

func (f Function) arn() string {
	return "arn:aws:lambda:" + region + ":" + account + ":function:" + f.Name
}

// An Invocation is what Lambda's REPORT line says of one.
type Invocation struct {
	RequestID string
	Event     bool          // asynchronous
	Init      time.Duration // from the start of the process to its first question for work; 0 if it was warm
	Duration  time.Duration // from the hand-over of the payload to the answer
	MaxMemory int64         // bytes the process ever held resident, where the system tells (Linux), else 0
	Error     string        // the type of the function's error, empty if there was none
}

// An Emulator is one deployed function.
type Emulator struct {
	Endpoint string // of the Invoke API

	f   Function
	log *os.File

	mu      sync.Mutex
	freed   *sync.Cond // a process went idle or ended, or an event was done
	live    map[*process]bool
	idle    []*process
	running int // processes that are not idle
	events  int // accepted and not done
	done    []Invocation
	closed  bool
}

// Start deploys a function for the time of the test. Its log is shown if the
// test fails.
func Start(t testing.TB, f Function) *Emulator {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	e := &Emulator{f: f.withDefaults(), log: log, live: map[*process]bool{}}
	e.freed = sync.NewCond(&e.mu)
	server := httptest.NewServer(e.invokeAPI())
	e.Endpoint = server.URL
	t.Cleanup(func() {
		if t.Failed() {
			lines := e.Log()
			t.Logf("the function's log:\n%s", strings.Join(lines[max(0, len(lines)-100):], "\n"))
		}
		e.close()
		server.Close()
		log.Close()
	})
	return e
}

// Client returns a Lambda client of the emulator, which does not try again on
// its own.
func (e *Emulator) Client() *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: &e.Endpoint,
		Region:       region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
		RetryMaxAttempts: 1,
	})
}

// Invoke invokes the function with a payload and waits. FailedWith is the
// payload of a function's error, nil if there was none.
func (e *Emulator) Invoke(t testing.TB, payload string) (answer, failedWith []byte) {
	t.Helper()
	out, err := e.Client().Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &e.f.Name, Payload: []byte(payload)})
	switch {
	case err != nil:
		t.Fatal(err)
	case out.FunctionError != nil:
		return nil, out.Payload
	}
	return out.Payload, nil
}

// Recycle ends the processes that are idle: what comes next starts cold.
func (e *Emulator) Recycle() {
	e.mu.Lock()
	idle := e.idle
	e.idle = nil
	for _, p := range idle {
		delete(e.live, p)
	}
	e.mu.Unlock()
	for _, p := range idle {
		p.kill()
	}
}

// Crash ends every process in the midst of what it does, as when its machine
// fails.
func (e *Emulator) Crash() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range e.live {
		p.cmd.Process.Kill()
	}
}

// Drain waits until every event that was accepted is done, tried again or not.
func (e *Emulator) Drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.events > 0 {
		e.freed.Wait()
	}
}

// Log returns what the processes have printed to stdout and stderr, by lines.
// What an invocation printed before its answer is there when the answer is.
func (e *Emulator) Log() []string {
	data, err := os.ReadFile(e.log.Name())
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// Invocations returns those that are done, in the order in which they ended.
func (e *Emulator) Invocations() []Invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Invocation(nil), e.done...)
}

// close ends everything and keeps anything new from beginning.
func (e *Emulator) close() {
	e.mu.Lock()
	e.closed = true
	e.freed.Broadcast()
	for e.running > 0 {
		for p := range e.live {
			p.cmd.Process.Kill()
		}
		e.freed.Wait()
	}
	e.mu.Unlock()
	e.Recycle()
}

// Build builds the bootstrap of a package into dir as it is shipped, for this
// machine.
func Build(dir, pkg string) (bin string, err error) {
	bin = filepath.Join(dir, "bootstrap")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return bin, nil
}

// failure is the payload of an error that the function itself did not report.
func failure(kind, requestID, message string) result {
	payload, err := json.Marshal(map[string]string{
		"errorType": kind, "errorMessage": "RequestId: " + requestID + " Error: " + message,
	})
	if err != nil {
		panic(err) // strings only
	}
	return result{payload: payload, failed: kind}
}
