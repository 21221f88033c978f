package lambdaemu

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A process is one execution environment: a bootstrap and the Runtime API that
// it alone talks to.
type process struct {
	f   Function
	cmd *exec.Cmd
	api *httptest.Server

	started time.Time
	ready   chan time.Time // gets the time of every question for work
	work    chan *invocation
	ended   chan struct{} // closed when it has exited

	mu       sync.Mutex
	current  *invocation
	initFail *result // what it told to init/error
}

// An invocation is a payload under way.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan result // of capacity 1
}

// A result is what the client gets.
type result struct {
	payload []byte
	failed  string // the type of the error, empty if there is none
}

func startProcess(f Function, log *os.File) (*process, error) {
	p := &process{
		f: f, started: time.Now(),
		ready: make(chan time.Time, 1), work: make(chan *invocation), ended: make(chan struct{}),
	}
	p.api = httptest.NewServer(p.runtimeAPI())
	p.cmd = exec.Command(f.Bootstrap)
	p.cmd.Env = append(f.environment(strings.TrimPrefix(p.api.URL, "http://")), f.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log // a file: there when a write returns
	if err := p.cmd.Start(); err != nil {
		p.api.Close()
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
		p.api.CloseClientConnections()
		p.api.Close()
	}()
	return p, nil
}

// environment is what Lambda sets, save for a session token.
func (f Function) environment(api string) []string {
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=en_US.UTF-8", "TZ=:UTC",
		"_HANDLER=bootstrap",
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_FUNCTION_NAME=" + f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=test",
		"AWS_LAMBDA_RUNTIME_API=" + api,
	}
}

// init waits until the process asks for work for the first time, and returns
// how long that took, or why it did not.
func (p *process) init() (took time.Duration, failed string) {
	select {
	case at := <-p.ready:
		return at.Sub(p.started), ""
	case <-p.ended:
		return time.Since(p.started), p.ending()
	case <-time.After(initTimeout):
		p.kill()
		return time.Since(p.started), fmt.Sprintf("Init timed out after %.2f seconds", initTimeout.Seconds())
	}
}

// run has a process that is ready do an invocation, and reports whether it is
// ready for another then.
func (p *process) run(inv *invocation) (r result, took time.Duration, ready bool) {
	begun := time.Now()
	timeout := time.NewTimer(time.Until(inv.deadline))
	defer timeout.Stop()
	select {
	case p.work <- inv:
	case <-p.ended:
		return failure("Runtime.ExitError", inv.id, p.ending()), 0, false
	}
	select {
	case r = <-inv.answer:
	case <-p.ended:
		select {
		case r = <-inv.answer: // it answered and exited
		default:
			r = failure("Runtime.ExitError", inv.id, p.ending())
		}
	case <-timeout.C:
		p.kill()
		return failure("Sandbox.Timedout", inv.id, fmt.Sprintf("Task timed out after %.2f seconds", p.f.Timeout.Seconds())), time.Since(begun), false
	}
	took = time.Since(begun)
	return r, took, p.settle(timeout)
}

// settle waits until the process asks for more work, which is what ends an
// invocation, and reports whether it did.
func (p *process) settle(timeout *time.Timer) bool {
	select {
	case <-p.ready:
		return true
	case <-p.ended:
	case <-timeout.C:
		p.kill()
	}
	return false
}

// kill ends the process and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// ending is how a process that ended did so, in Lambda's words.
func (p *process) ending() string {
	if p.cmd.ProcessState.Success() {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + p.cmd.ProcessState.String()
}

// maxMemory is the most memory that the process held resident so far, in bytes.
func (p *process) maxMemory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
