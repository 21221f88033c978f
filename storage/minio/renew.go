package minio

import (
	"net/http"
	"sync"

	"publisher/storage/internal/transport"
)

// A renewing transport leaves its connections behind after a write that was
// refused, or had no bytes. Some servers (versitygw) answer a condition that does
// not hold before they have read the body, and take the rest of it for the next
// request on that connection; after an empty body they misread that too.
type renewing struct {
	fresh func() *http.Transport

	mu  sync.Mutex
	now *http.Transport
}

func newRenewing(fresh func() *http.Transport) *renewing {
	return &renewing{fresh: fresh, now: fresh()}
}

// RoundTrip implements http.RoundTripper.
func (r *renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	t := r.current()
	resp, err := t.RoundTrip(req)
	if err == nil {
		transport.TellDate(req.Context(), resp.Header)
	}
	if err == nil && req.Method == http.MethodPut && (resp.StatusCode >= 400 || req.ContentLength == 0) {
		r.leave(t)
	}
	return resp, err
}

func (r *renewing) current() *http.Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// leave has later requests use new connections. Those under way end on theirs.
func (r *renewing) leave(t *http.Transport) {
	r.mu.Lock()
	if r.now == t {
		r.now = r.fresh()
	}
	r.mu.Unlock()
	t.CloseIdleConnections()
}
