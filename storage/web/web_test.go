package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"publisher/storage"
)

func serve(t *testing.T, h http.HandlerFunc) *Store {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s, err := Open(srv.URL+"/base", nil, func(o *options) { o.patience = time.Second })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGet(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT")
		fmt.Fprintf(w, "%s %s", r.RequestURI, r.Header.Get("Accept-Encoding"))
	})
	for key, path := range map[string]string{
		"a/b":       "/base/a/b",
		"a+b":       "/base/a+b",
		"a b":       "/base/a%20b",
		"100%":      "/base/100%25",
		"a?b#c":     "/base/a%3Fb%23c",
		"ü/日":       "/base/%C3%BC/%E6%97%A5",
		"&=~()@:;,": "/base/&=~%28%29@:%3B%2C",
	} {
		data, v, err := storage.Read(t.Context(), s, key, 1000)
		if err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if want := path + " identity"; string(data) != want || v != `"v1"` {
			t.Errorf("%q: server saw %q, want %q; Version %q", key, data, want, v)
		}
	}
	obj, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Body.Close()
	if want := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC); !obj.Modified.Equal(want) || obj.Size != int64(len("/base/k identity")) {
		t.Errorf("Modified %v, want %v; Size %d", obj.Modified, want, obj.Size)
	}
	if _, err := s.Get(t.Context(), "../k"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a key that leads out: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	answer := func(code int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		is     error
		says   string
	}{
		{"404", answer(404, "X", "", ""), fs.ErrNotExist, "404"},
		{"410", answer(410, "X", "", ""), fs.ErrNotExist, "410"},
		{"403", answer(403, "X", "", ""), fs.ErrPermission, "403"},
		{"401", answer(401, "X", "", ""), fs.ErrPermission, "401"},
		{"503", answer(503, "X", "", ""), nil, "503 Service Unavailable"},
		{"204", answer(204, "X", "", ""), nil, "204"},
		{"redirect", answer(302, "Location", "https://example.com/x", ""), nil, "https://example.com/x"},
		{"encoded", answer(200, "Content-Encoding", "gzip", "x"), nil, "gzip"},
		{"truncated", answer(200, "Content-Length", "10", "12345"), io.ErrUnexpectedEOF, "k"},
		{"too large", answer(200, "X", "", strings.Repeat("x", 101)), storage.ErrTooLarge, "k"},
		{"too large, chunked", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, strings.Repeat("x", 101))
		}, storage.ErrTooLarge, "k"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, io.ErrUnexpectedEOF, "k"},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, "timeout"},
		{"silent in the middle", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, nil, "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, _, err := storage.Read(t.Context(), serve(t, tt.answer), "k", 100)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v with %q in it", err, tt.is, tt.says)
			}
			if tt.is != fs.ErrNotExist && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v looks like a missing object", err)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// A slow server is not a silent one.
func TestSlow(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 6 {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Millisecond)
		}
	})
	if data, _, err := storage.Read(t.Context(), s, "k", 100); len(data) != 6 || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := s.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") }))
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	for _, tt := range []struct {
		conf *tls.Config
		ok   bool
	}{{nil, false}, {&tls.Config{RootCAs: pool}, true}} {
		s, err := Open(srv.URL, tt.conf)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = storage.Read(t.Context(), s, "k", 10); (err == nil) != tt.ok {
			t.Errorf("with %v: %v", tt.conf, err)
		}
	}
}

func TestOpen(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://example.com":              true,
		"https://example.com/a/b/":         true,
		"http://localhost:8080":            true,
		"http://127.0.0.1":                 true,
		"http://[::1]:80/x":                true,
		"http://example.com":               false,
		"http://localhost.example.com":     false,
		"ftp://example.com":                false,
		"example.com":                      false,
		"https://":                         false,
		"https://example.com/?signature=x": false,
		"https://example.com/#fragment":    false,
		"":                                 false,
		"https://example.com:no-port/":     false,
	} {
		if _, err := Open(base, nil); (err == nil) != ok {
			t.Errorf("Open(%q): %v", base, err)
		}
	}
	if _, err := Open("http://example.com", nil, AllowHTTP()); err != nil {
		t.Error(err)
	}
	if _, err := Open("ftp://example.com", nil, AllowHTTP()); err == nil {
		t.Error("AllowHTTP allows ftp")
	}
}

// One connection carries all requests of HTTP/2: what comes for others does not
// make up for what does not come.
func TestStalledStream(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for ever := time.Tick(20 * time.Millisecond); ; {
			if r.URL.Path != "/mute" {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
			for stalled := r.URL.Path != "/busy"; ; {
				select {
				case <-r.Context().Done():
					return
				case <-ever:
				}
				if !stalled {
					break
				}
			}
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	s, err := Open(srv.URL, &tls.Config{RootCAs: pool}, func(o *options) { o.patience = time.Second })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	busy, err := s.Get(ctx, "busy")
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, busy.Body)
	defer busy.Body.Close()
	for _, key := range []string{"mute", "stalled"} {
		if _, _, err := storage.Read(ctx, s, key, 100); err == nil || !strings.Contains(err.Error(), "the server sent nothing for 1s") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
