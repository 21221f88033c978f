package testserver

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
)

// A Fault is what a Proxy does to one request.
type Fault int

const (
	None     Fault = iota
	Lost           // the server does it, its answer gets lost
	Truncate       // half of the answer's body arrives
	Hang           // no answer for as long as the client waits
	Reset          // the connection is reset; the server sees nothing
)

// Status is the fault of an S3 error of that HTTP status; the server sees
// nothing.
func Status(code int) Fault { return Fault(code) }

var codes = map[int]string{
	403: "AccessDenied",
	409: "ConditionalRequestConflict",
	412: "PreconditionFailed",
	503: "SlowDown",
}

// A Proxy stands before a server, breaks requests, and remembers them.
type Proxy struct {
	done chan struct{}

	mu       sync.Mutex
	hook     func(r *http.Request, n int) Fault
	requests []*http.Request
}

// Through returns the server as seen through a new Proxy.
func (s S3) Through(t testing.TB) (S3, *Proxy) {
	upstream, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{done: make(chan struct{})}
	p.Break(func(*http.Request, int) Fault { return None })
	forward := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), // of clients that went away, as they should
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host // it is signed
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, p.next(r), forward)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(p.done) })
	s.Endpoint = srv.URL
	return s, p
}

// Break has hook decide about each request from now on. It is given the number
// of the request, from 1, and called for one at a time.
func (p *Proxy) Break(hook func(r *http.Request, n int) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.requests = hook, nil
}

// First is a hook that breaks the first n requests of a method.
func First(n int, method string, f Fault) func(*http.Request, int) Fault {
	return func(r *http.Request, _ int) Fault {
		if r.Method != method || n == 0 {
			return None
		}
		n--
		return f
	}
}

// Requests returns the requests since the last Break, without their bodies.
func (p *Proxy) Requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func (p *Proxy) next(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	return p.hook(r, len(p.requests))
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, f Fault, forward http.Handler) {
	switch f {
	case None:
		forward.ServeHTTP(w, r)
	case Lost:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case Truncate:
		truncate(w, r, forward)
	case Hang:
		drain(r) // or else the end of the client goes unnoticed
		select {
		case <-r.Context().Done():
		case <-p.done:
		}
	case Reset:
		reset(w)
	default:
		drain(r) // or else the client may meet a reset before the answer
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(int(f))
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>injected</Message></Error>", codes[int(f)])
	}
}

func drain(r *http.Request) { io.Copy(io.Discard, r.Body) }

func truncate(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	rec := httptest.NewRecorder()
	forward.ServeHTTP(rec, r)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	body := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rec.Code)
	w.Write(body[:len(body)/2])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0) // a reset instead of an end
	conn.Close()
}
