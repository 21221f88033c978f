package lambdaemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// invokeAPI is Lambda's Invoke, version 2015-03-31.
func (e *Emulator) invokeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", e.invoke)
	return mux
}

func (e *Emulator) invoke(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	w.Header().Set("X-Amzn-Requestid", id)
	if auth := r.Header.Get("Authorization"); !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 ") || !strings.Contains(auth, "/lambda/aws4_request") {
		refuse(w, http.StatusForbidden, "MissingAuthenticationTokenException", "the request is not signed for Lambda")
		return
	}
	if name := r.PathValue("name"); name != e.f.Name && name != e.f.arn() {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+name)
		return
	}
	how := r.Header.Get("X-Amz-Invocation-Type")
	limit := int64(maxPayload)
	if how == "Event" {
		limit = maxEvent
	}
	payload, ok := readPayload(w, r, limit)
	if !ok {
		return
	}
	switch how {
	case "", "RequestResponse":
		e.wait(w, id, payload)
	case "Event":
		e.accept(id, payload)
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "invocation type "+how)
	}
}

func readPayload(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException",
			fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit))
		return nil, false
	case err != nil:
		return nil, false // the client went away
	case len(payload) == 0:
		return []byte("{}"), true
	case !json.Valid(payload):
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
		return nil, false
	}
	return payload, true
}

// wait answers with what the function does.
func (e *Emulator) wait(w http.ResponseWriter, id string, payload []byte) {
	p, ok := e.acquire(false)
	if !ok {
		refuse(w, http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.")
		return
	}
	r := e.do(p, id, payload, false)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", "$LATEST")
	if r.failed != "" {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	w.Write(r.payload)
}

// accept does an event in the background, again if it fails.
func (e *Emulator) accept(id string, payload []byte) {
	e.mu.Lock()
	e.events++
	e.mu.Unlock()
	go func() {
		for range 1 + max(0, e.f.Retries) {
			p, ok := e.acquire(true)
			if !ok || e.do(p, id, payload, true).failed == "" {
				break
			}
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events--
		e.freed.Broadcast()
	}()
}

// acquire takes an idle process, or the right to start one, which is nil. When
// as many as may be are busy it waits or fails.
func (e *Emulator) acquire(wait bool) (p *process, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !e.closed {
		if n := len(e.idle); n > 0 {
			p, e.idle = e.idle[n-1], e.idle[:n-1]
			e.running++
			return p, true
		}
		if e.running < e.f.Concurrency {
			e.running++
			return nil, true
		}
		if !wait {
			return nil, false
		}
		e.freed.Wait()
	}
	return nil, false
}

// do runs one invocation and gives the process back.
func (e *Emulator) do(p *process, id string, payload []byte, event bool) result {
	done := Invocation{RequestID: id, Event: event}
	r, p := e.attempt(p, &done, payload)
	done.Error = r.failed
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	e.done = append(e.done, done)
	if p != nil {
		e.idle = append(e.idle, p)
	}
	e.freed.Broadcast()
	return r
}

// start starts a process, which counts as live until forget.
func (e *Emulator) start() (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the test is over")
	}
	p, err := startProcess(e.f, e.log)
	if err == nil {
		e.live[p] = true
	}
	return p, err
}

// forget ends a process that cannot be used again.
func (e *Emulator) forget(p *process) {
	p.kill()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.live, p)
}

// attempt returns the process only if it can be used again.
func (e *Emulator) attempt(p *process, done *Invocation, payload []byte) (result, *process) {
	if p == nil {
		var err error
		if p, err = e.start(); err != nil {
			return failure("Runtime.InvalidEntrypoint", done.RequestID, err.Error()), nil
		}
		var failed string
		if done.Init, failed = p.init(); failed != "" {
			e.forget(p)
			return p.initFailure(done.RequestID, failed), nil
		}
	}
	r, took, ready := p.run(&invocation{
		id: done.RequestID, payload: payload, deadline: time.Now().Add(e.f.Timeout), answer: make(chan result, 1),
	})
	done.Duration, done.MaxMemory = took, p.maxMemory()
	if !ready {
		e.forget(p)
		return r, nil
	}
	return r, p
}

// initFailure is the process's own word on why it did not start, if it said
// one.
func (p *process) initFailure(id, ending string) result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.initFail != nil {
		return *p.initFail
	}
	return failure("Runtime.ExitError", id, ending)
}

// refuse is an error of Lambda's own.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"Type": "User", "message": message})
}
