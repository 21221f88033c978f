package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// onejson is the command of scripts that fails unless stdout is one JSON value.
func onejson(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: onejson")
	}
	out := ts.ReadFile("stdout")
	d := json.NewDecoder(bytes.NewReader([]byte(out)))
	var v any
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("stdout is not JSON: %v\n%s", err, out)
	}
	if err := d.Decode(&v); err != io.EOF {
		ts.Fatalf("stdout has more than one JSON value:\n%s", out)
	}
}

// fakeS3 starts a server that is an S3 in so far as the script needs it:
//
//	good       works
//	racy       ignores conditions, as some servers do
//	nobucket   has no bucket of that name
//	readonly   refuses to write
//	hidden     refuses to read, and to say what is missing
//	reset      resets every connection
//	busy       answers 503
//	gone       was there a moment ago
//	wrecked    works until it has the root, and fails from then on
func fakeS3(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: s3 NAME MODE")
	}
	s := &s3Server{mode: args[1], objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	if s.mode == "gone" {
		server.Close()
	}
	ts.Setenv("AWS_ACCESS_KEY_ID", "key")
	ts.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	ts.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	ts.Setenv("AWS_MAX_ATTEMPTS", "2") // what a script breaks stays broken
	ts.Setenv(args[0], "s3://bucket/prefix?region=us-east-1&endpoint="+server.URL)
}

// s3Server is a bucket in memory. The ETag of an object is its SHA-256.
type s3Server struct {
	mode string

	mu      sync.Mutex
	objects map[string][]byte
}

func (s *s3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	_, rooted := s.objects["/bucket/prefix/example.com/a/metadata/1.root.json"]
	switch {
	case r.URL.Path == "/bucket" && s.mode != "nobucket": // does it exist?
	case s.mode == "nobucket":
		refuseS3(w, 404, "NoSuchBucket")
	case s.mode == "readonly" && !read, s.mode == "hidden":
		refuseS3(w, 403, "AccessDenied")
	case s.mode == "busy", s.mode == "wrecked" && rooted && !read:
		refuseS3(w, 503, "SlowDown")
	case s.mode == "reset":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	case read:
		s.read(w, r)
	case r.Method == http.MethodPut:
		s.put(w, r)
	case r.Method == http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuseS3(w, 501, "NotImplemented")
	}
}

func refuseS3(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as told</Message></Error>", code)
}

func etagOf(data []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(data)) }

func (s *s3Server) read(w http.ResponseWriter, r *http.Request) {
	data, ok := s.objects[r.URL.Path]
	if !ok {
		refuseS3(w, 404, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", etagOf(data))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (s *s3Server) put(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Encoding") != "" {
		refuseS3(w, 501, "NotImplemented")
		return
	}
	old, there := s.objects[r.URL.Path]
	match := r.Header.Get("If-Match")
	if s.mode != "racy" && (there && r.Header.Get("If-None-Match") != "" || match != "" && (!there || match != etagOf(old))) {
		refuseS3(w, 412, "PreconditionFailed")
		return
	}
	s.objects[r.URL.Path] = data
	w.Header().Set("ETag", etagOf(data))
}
