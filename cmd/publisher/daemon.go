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

	running sync.WaitGroup // asynchronous invocations
}

const (
	// maxPayload is how much may be sent to a function.
	maxPayload = 6 << 20

	// invocationTimeout is how long a function may take.
	invocationTimeout = 15 * time.Minute
)

// scheduledEvent is what EventBridge Scheduler would send.
const scheduledEvent = `{"source":"aws.scheduler","detail-type":"Scheduled Event"}`

// run serves until ctx ends, which is no error, and returns when all that was
// begun is done.
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
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	d.log.Info("stopping")
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), invocationTimeout)
	defer cancel()
	return server.Shutdown(patience)
}

// schedule has the signer do what is due, at once and then again and again.
func (d *daemon) schedule(ctx context.Context) {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		_, _ = d.invoke(ctx, []byte(scheduledEvent)) // the signer has logged it
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// invoke runs the signer to its end, whoever stops waiting for it.
func (d *daemon) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), invocationTimeout)
	defer cancel()
	return d.signer.Handle(ctx, payload)
}

func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
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
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		refuseInvoke(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("at most %d bytes", maxPayload))
		return
	}
	if err != nil {
		return // the client went away
	}
	switch how := r.Header.Get("X-Amz-Invocation-Type"); how {
	case "", "RequestResponse":
		d.answer(r.Context(), w, payload)
	case "Event":
		d.running.Go(func() { _, _ = d.invoke(r.Context(), payload) }) // the signer has logged it
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	default:
		refuseInvoke(w, http.StatusBadRequest, "InvalidParameterValueException", "unknown invocation type")
	}
}

// answer writes what the signer answers, an error in the form that functions
// have.
func (d *daemon) answer(ctx context.Context, w http.ResponseWriter, payload []byte) {
	answer, err := d.invoke(ctx, payload)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_ = json.MarshalWrite(w, lambda.NewFailure(err)) // a client that went away gets no answer
		return
	}
	_, _ = w.Write(answer)
}

// refuseInvoke is an error of Lambda's own.
func refuseInvoke(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, map[string]string{"Type": "User", "message": message})
}
