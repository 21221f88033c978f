package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/lambda"
)

// A daemon runs an online signer where nobody else does: it speaks the Invoke
// API of AWS Lambda, and keeps its own schedule.
type daemon struct {
	signer *lambda.Signer
	log    *slog.Logger
	every  time.Duration
	grace  time.Duration // how long what is under way may go on after the end was asked for
	gauges *gauges

	slots   chan struct{}  // one for each invocation under way
	readers chan struct{}  // one for each request that is being read
	long    chan struct{}  // one for each of those that is long
	running sync.WaitGroup // what nobody waits for: asynchronous invocations and the schedule
	ending  *ending        // of invocations
	closing *ending        // of the schedule, whose run stops between two steps: the next one goes on from there
}

const (
	// maxPayload is how much may be sent to a function, usualPayload what is sent to
	// this one but for rotations.
	maxPayload   = 6 << 20
	usualPayload = 64 << 10

	// Requests are read before they take a slot, or who sends them slowly would hold
	// those; readTime is how long each may take.
	maxReaders = 1024
	maxLong    = 8
	readTime   = 10 * time.Second

	// invocationTimeout is how long a function may take.
	invocationTimeout = 15 * time.Minute

	// defaultInvocations is how many invocations are under way at once, each
	// with a submission in memory perhaps.
	defaultInvocations = 32

	// defaultGrace is a little less than what those give who end daemons, before
	// they kill.
	defaultGrace = 25 * time.Second

	// hangUp is how long connections are waited for after the grace.
	hangUp = 3 * time.Second
)

// scheduledEvent is what EventBridge Scheduler would send.
const scheduledEvent = `{"source":"aws.scheduler","detail-type":"Scheduled Event"}`

// newDaemon runs a signer, with the defaults of the flags.
func newDaemon(signer *lambda.Signer, log *slog.Logger) *daemon {
	d := &daemon{
		signer: signer, log: log, every: time.Minute, grace: defaultGrace, gauges: newGauges(signer.Now),
		slots: make(chan struct{}, defaultInvocations), readers: make(chan struct{}, maxReaders), long: make(chan struct{}, maxLong),
		ending: newEnding(), closing: newEnding(),
	}
	signer.Watch = d.gauges.watch
	return d
}

// run serves until ctx ends, which is no error, and returns when all that was
// begun is done, or has had its grace.
func (d *daemon) run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           d.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that hang up are no news
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	schedule, stop := context.WithCancel(ctx)
	defer d.running.Wait()
	defer stop()
	d.running.Go(func() { d.schedule(schedule) })
	select {
	case err := <-failed:
		d.end(0)
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	d.log.Info("stopping")
	d.end(d.grace)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.grace+hangUp)
	defer cancel()
	if err := server.Shutdown(patience); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	d.log.Warn("stopped in the middle of requests")
	return server.Close()
}

func (d *daemon) end(grace time.Duration) {
	d.ending.begin(grace)
	d.closing.begin(min(grace, lambda.DefaultMargin)) // too late for another step
}

// schedule has the signer do what is due, at once and then again and again.
func (d *daemon) schedule(ctx context.Context) {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		_, _ = d.invoke(ctx, d.closing, []byte(scheduledEvent)) // the signer has logged it
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// invoke runs the signer, whoever stops waiting for it, to its end or the one
// that is given.
func (d *daemon) invoke(ctx context.Context, end *ending, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), invocationTimeout)
	defer cancel()
	defer context.AfterFunc(end.over, cancel)()
	return d.signer.Handle(endingContext{ctx, end}, payload)
}

func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", d.gauges)
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", d.serve)
	return mux
}

// serve is Lambda's Invoke, as far as it makes sense for one function. Requests
// of web pages are refused: they come from whatever site a browser on this
// machine has open.
func (d *daemon) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		refuseInvoke(w, http.StatusForbidden, "AccessDeniedException", "requests of web pages are refused")
		return
	}
	payload, err := d.read(w, r)
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		refuseInvoke(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("at most %d bytes", maxPayload))
		return
	case errors.Is(err, errBusy):
		refuseBusy(w)
		return
	case err != nil:
		return // the client went away, or is too slow
	}
	leave, ok := d.enter(d.slots)
	if !ok {
		refuseBusy(w)
		return
	}
	defer func() { leave() }()
	switch how := r.Header.Get("X-Amz-Invocation-Type"); how {
	case "", "RequestResponse":
		d.answer(r.Context(), w, payload)
	case "Event":
		done := leave
		leave = func() {}
		d.running.Go(func() {
			defer done()
			_, _ = d.invoke(r.Context(), d.ending, payload) // the signer has logged it
		})
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	default:
		refuseInvoke(w, http.StatusBadRequest, "InvalidParameterValueException", "unknown invocation type")
	}
}

// errBusy reports that nothing more can be read now.
var errBusy = errors.New("too many requests are being read")

// read reads what a client sends, within seconds. Few long ones are read at a
// time, and no connection that sends nothing takes their place.
func (d *daemon) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	leave, ok := d.enter(d.readers)
	if !ok {
		return nil, errBusy
	}
	defer leave()
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(readTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	defer func() { _ = control.SetReadDeadline(time.Time{}) }() // for what comes after: the client only waits
	body := http.MaxBytesReader(w, r.Body, maxPayload)
	head, err := io.ReadAll(io.LimitReader(body, usualPayload))
	if err != nil || len(head) < usualPayload {
		return head, err
	}
	leaveLong, ok := d.enter(d.long)
	if !ok {
		return nil, errBusy
	}
	defer leaveLong()
	rest, err := io.ReadAll(body)
	return append(head, rest...), err
}

// enter takes a slot, if one is free. The schedule needs none: signing again
// what expires never waits.
func (d *daemon) enter(slots chan struct{}) (leave func(), ok bool) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, true
	default:
		d.gauges.throttled.Add(1)
		return nil, false
	}
}

// answer writes what the signer answers, an error in the form that functions
// have.
func (d *daemon) answer(ctx context.Context, w http.ResponseWriter, payload []byte) {
	answer, err := d.invoke(ctx, d.ending, payload)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_ = json.MarshalWrite(w, lambda.NewFailure(err)) // a client that went away gets no answer
		return
	}
	_, _ = w.Write(answer)
}

// tooManyRequests is what clients of Lambda ask again after.
const tooManyRequests = "TooManyRequestsException"

func refuseBusy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	refuseInvoke(w, http.StatusTooManyRequests, tooManyRequests, "as many invocations as there may be are under way")
}

// refuseInvoke is an error of Lambda's own.
func refuseInvoke(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, map[string]string{"Type": "User", "message": message})
}
