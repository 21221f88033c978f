package lambdaemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "publisher-lambdaemu-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(buildDir)
		return m.Run()
	}())
}

var bootstrap = sync.OnceValues(func() (string, error) { return Build(buildDir, "publisher/internal/lambdaemu/hello") })

func hello(t *testing.T, f Function) *Emulator {
	t.Helper()
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	f.Name, f.Bootstrap = "hello", bin
	return Start(t, f)
}

type answer struct {
	Hello      string
	PID, Calls int
	Deadline   time.Duration
	Large      string
}

// ask invokes the function, which must answer.
func ask(t *testing.T, e *Emulator, payload string) answer {
	t.Helper()
	out, failed := e.Invoke(t, payload)
	if failed != nil {
		t.Fatalf("%s: %s", payload, failed)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestInvoke(t *testing.T) {
	e := hello(t, Function{Memory: 256, Timeout: 20 * time.Second})
	first, second := ask(t, e, `{}`), ask(t, e, ``)
	if first.Hello != "hello" || first.Calls != 1 || first.Deadline < 15*time.Second || first.Deadline > 20*time.Second {
		t.Errorf("the first answer is %+v", first)
	}
	if second.PID != first.PID || second.Calls != 2 {
		t.Errorf("the second answer is %+v, of another process than %+v", second, first)
	}
	e.Recycle()
	if third := ask(t, e, `{}`); third.PID == first.PID || third.Calls != 1 {
		t.Errorf("after a restart the answer is %+v, before it was %+v", third, second)
	}
	want := []string{"hello: call 1", "hello: call 2", "hello: call 1"}
	if got := e.Log(); !slices.Equal(got, want) {
		t.Errorf("the log is %q, want %q", got, want)
	}
	for i, inv := range e.Invocations() {
		if cold := i != 1; (inv.Init > 0) != cold || inv.Duration <= 0 || inv.Error != "" || inv.MaxMemory < 0 {
			t.Errorf("invocation %d: %+v", i+1, inv)
		}
	}
}

// TestFailures: each kind of failure answers as Lambda does, and leaves a
// function that works.
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		kind          string // errorType
		message       string // part of errorMessage
		restarts      bool
	}{
		{"error", `{"Do": "fail"}`, "errorString", "as I was told", false},
		{"panic", `{"Do": "panic"}`, "string", "as I was told", true},
		{"exit", `{"Do": "exit"}`, "Runtime.ExitError", "exit status 4", true},
		{"timeout", `{"Sleep": 20000000000}`, "Sandbox.Timedout", "Task timed out after 2.00 seconds", true},
		{"large answer", `{"Size": 6291456}`, "Function.ResponseSizeTooLarge", "exceeded", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := hello(t, Function{Timeout: 2 * time.Second})
			before := ask(t, e, `{}`)
			_, failed := e.Invoke(t, tt.payload)
			var told struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal(failed, &told); err != nil {
				t.Fatalf("%s: %v", failed, err)
			}
			if told.ErrorType != tt.kind || !strings.Contains(told.ErrorMessage, tt.message) {
				t.Errorf("the error is %+v", told)
			}
			if after := ask(t, e, `{}`); (after.PID != before.PID) != tt.restarts {
				t.Errorf("process %d before, %d after", before.PID, after.PID)
			}
			if got := e.Invocations()[1].Error; got != tt.kind {
				t.Errorf("the record says %q", got)
			}
		})
	}
}

func TestInitFails(t *testing.T) {
	for how, want := range map[string]string{
		"exit":   `"Runtime.ExitError"`,
		"report": `"Hello.Config"`,
	} {
		t.Run(how, func(t *testing.T) {
			e := hello(t, Function{Env: []string{"HELLO_INIT=" + how}})
			if _, failed := e.Invoke(t, `{}`); !strings.Contains(string(failed), want) {
				t.Errorf("the error is %s, want %s", failed, want)
			}
		})
	}
	e := Start(t, Function{Name: "none", Bootstrap: filepath.Join(t.TempDir(), "none")})
	if _, failed := e.Invoke(t, `{}`); !strings.Contains(string(failed), "Runtime.InvalidEntrypoint") {
		t.Errorf("without a binary: %s", failed)
	}
}

// TestCrash: what runs ends at once, what comes next works.
func TestCrash(t *testing.T) {
	e := hello(t, Function{Timeout: 20 * time.Second})
	ask(t, e, `{}`)
	time.AfterFunc(200*time.Millisecond, e.Crash)
	_, failed := e.Invoke(t, `{"Sleep": 15000000000}`)
	if !strings.Contains(string(failed), "Runtime.ExitError") {
		t.Errorf("the error is %s", failed)
	}
	if a := ask(t, e, `{}`); a.Calls != 1 {
		t.Errorf("afterwards: %+v", a)
	}
	if len(e.live) != 1 {
		t.Errorf("%d processes are live", len(e.live))
	}
}

// TestConcurrency: as many processes as allowed, one invocation in each, and
// no more.
func TestConcurrency(t *testing.T) {
	e := hello(t, Function{Concurrency: 3, Timeout: 10 * time.Second})
	call := func() (*lambda.InvokeOutput, error) {
		return e.Client().Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &e.f.Name, Payload: []byte(`{"Sleep": 1500000000}`)})
	}
	pids, throttled := map[int]bool{}, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			out, err := call()
			mu.Lock()
			defer mu.Unlock()
			if busy := new(types.TooManyRequestsException); errors.As(err, &busy) {
				throttled++
				return
			}
			var a answer
			if err != nil || json.Unmarshal(out.Payload, &a) != nil {
				t.Errorf("%s: %v", out.Payload, err)
			}
			pids[a.PID] = true
		})
	}
	wg.Wait()
	if len(pids) != 3 || throttled != 2 {
		t.Errorf("%d processes answered, %d requests were throttled", len(pids), throttled)
	}
}

// TestEvents: accepted at once, done later, again if they fail, never throttled.
func TestEvents(t *testing.T) {
	e := hello(t, Function{})
	for _, payload := range []string{`{"Do": "fail"}`, `{}`, `{}`} {
		out, err := e.Client().Invoke(t.Context(), &lambda.InvokeInput{
			FunctionName: &e.f.Name, InvocationType: types.InvocationTypeEvent, Payload: []byte(payload),
		})
		if err != nil || out.StatusCode != http.StatusAccepted || out.FunctionError != nil {
			t.Fatalf("%s: %+v, %v", payload, out, err)
		}
	}
	e.Drain()
	failed, ids := 0, map[string]bool{}
	for _, inv := range e.Invocations() {
		ids[inv.RequestID] = true
		if inv.Error != "" {
			failed++
		}
	}
	if len(ids) != 3 || failed != 3 || len(e.Invocations()) != 5 {
		t.Errorf("%d events, %d failures in %+v", len(ids), failed, e.Invocations())
	}
}

// TestRefuses: what Lambda itself refuses does not reach the function.
func TestRefuses(t *testing.T) {
	e := hello(t, Function{})
	other := "other"
	large := []byte(`"` + strings.Repeat("x", maxPayload) + `"`)
	for _, tt := range []struct {
		in   lambda.InvokeInput
		code string
	}{
		{lambda.InvokeInput{FunctionName: &other}, "ResourceNotFoundException"},
		{lambda.InvokeInput{FunctionName: &e.f.Name, Payload: large}, "RequestTooLargeException"},
		{lambda.InvokeInput{FunctionName: &e.f.Name, Payload: large[maxPayload-maxEvent:], InvocationType: types.InvocationTypeEvent}, "RequestTooLargeException"},
		{lambda.InvokeInput{FunctionName: &e.f.Name, Payload: []byte("{")}, "InvalidRequestContentException"},
	} {
		_, err := e.Client().Invoke(t.Context(), &tt.in)
		if api := smithy.APIError(nil); !errors.As(err, &api) || api.ErrorCode() != tt.code {
			t.Errorf("got %v, want %s", err, tt.code)
		}
	}
	resp, err := http.Post(e.Endpoint+"/2015-03-31/functions/hello/invocations", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("unsigned: %s", resp.Status)
	}
	if n := len(e.Invocations()); n != 0 {
		t.Errorf("%d invocations", n)
	}
}
