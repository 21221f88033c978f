package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"publisher/internal/serve"
	"publisher/storage/dir"
)

// edgeServer serves $WORK/store as it should be, but for what ends with a suffix:
// a fault is a status, "reset" for a broken connection, or Name:value for a header.
//
//	edge [SUFFIX FAULT]…
func edgeServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%2 != 0 {
		ts.Fatalf("usage: edge [SUFFIX FAULT]...")
	}
	store, err := dir.Open(filepath.Join(ts.Getenv("WORK"), "store"))
	ts.Check(err)
	healthy := serve.Handler(store)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(args); i += 2 {
			if strings.HasSuffix(r.URL.Path, args[i]) && plant(w, args[i+1]) {
				return
			}
		}
		healthy.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("EDGE", server.URL)
}

// plant reports whether the fault is all of the answer.
func plant(w http.ResponseWriter, fault string) bool {
	if fault == "reset" {
		panic(http.ErrAbortHandler)
	}
	if name, value, ok := strings.Cut(fault, ":"); ok {
		w.Header().Set(name, value)
		return false
	}
	status, err := strconv.Atoi(fault)
	if err != nil {
		status = http.StatusNotImplemented
	}
	w.WriteHeader(status)
	return true
}
