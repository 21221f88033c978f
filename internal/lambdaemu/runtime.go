package lambdaemu

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// runtimeAPI is the Lambda Runtime API, version 2018-06-01.
func (p *process) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", p.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", p.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", p.failed)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", p.initError)
	return mux
}

func (p *process) next(w http.ResponseWriter, r *http.Request) {
	select {
	case p.ready <- time.Now():
	case <-r.Context().Done():
		return
	}
	var inv *invocation
	select {
	case inv = <-p.work:
	case <-r.Context().Done():
		return
	}
	p.mu.Lock()
	p.current = inv
	p.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", p.f.arn())
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-"+inv.id[:8]+"-"+inv.id[9:13]+inv.id[14:18]+inv.id[19:23]+inv.id[24:36]+";Sampled=0")
	w.Write(inv.payload)
}

// take ends the current invocation, if id is its.
func (p *process) take(id string) *invocation {
	p.mu.Lock()
	defer p.mu.Unlock()
	inv := p.current
	if inv == nil || inv.id != id {
		return nil
	}
	p.current = nil
	return inv
}

func (p *process) response(w http.ResponseWriter, r *http.Request) {
	inv := p.take(r.PathValue("id"))
	if inv == nil {
		reply(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		inv.answer <- failure("Function.ResponseSizeTooLarge", inv.id, "Response payload size exceeded maximum allowed payload size (6291556 bytes).")
		reply(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
		return
	case err != nil || !json.Valid(body):
		inv.answer <- failure("Runtime.InvalidResponse", inv.id, "the response is not JSON")
	default:
		inv.answer <- result{payload: body}
	}
	accepted(w)
}

func (p *process) failed(w http.ResponseWriter, r *http.Request) {
	inv := p.take(r.PathValue("id"))
	if inv == nil {
		reply(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	inv.answer <- reported(r)
	accepted(w)
}

func (p *process) initError(w http.ResponseWriter, r *http.Request) {
	failed := reported(r)
	p.mu.Lock()
	p.initFail = &failed
	p.mu.Unlock()
	accepted(w)
}

// reported is an error that the function told itself.
func reported(r *http.Request) result {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	told := struct{ ErrorType string }{}
	if err != nil || json.Unmarshal(body, &told) != nil || told.ErrorType == "" {
		told.ErrorType = "Runtime.Unknown"
	}
	return result{payload: body, failed: told.ErrorType}
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`+"\n")
}

func reply(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}
