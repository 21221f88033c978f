package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"publisher/storage"
)

// TestDateOfMissing: also an answer that something is missing tells the clock.
func TestDateOfMissing(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	want := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", want.Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	s, err := Open(t.Context(), &url.URL{Scheme: "s3", Host: "bucket", RawQuery: url.Values{"endpoint": {server.URL}}.Encode()})
	if err != nil {
		t.Fatal(err)
	}
	var told time.Time
	_, err = s.Get(storage.OnDate(t.Context(), func(at time.Time) { told = at }), "missing")
	if !errors.Is(err, fs.ErrNotExist) || !told.Equal(want) {
		t.Errorf("told %v %v, want %v", told, err, want)
	}
}
