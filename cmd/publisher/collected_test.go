package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo"
	"publisher/storage"
	"publisher/trust"
)

// TestAnswerOutlastsCollection: a signer that finds a target being removed is asked
// again, and it is said why; who gives up is told what to type.
func TestAnswerOutlastsCollection(t *testing.T) {
	asked := 0
	going := `{"errorMessage":"target \"a\" is being removed by garbage collection","errorType":"Collected"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, going)
			return
		}
		answer, err := json.Marshal(repo.Receipt{Collection: "a/b", Submission: "id"})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	}))
	defer server.Close()
	talk, err := os.Create(t.TempDir() + "/talk")
	if err != nil {
		t.Fatal(err)
	}
	defer talk.Close()
	a := newApp(nil, talk, talk)
	c := trust.Open(t.TempDir()).Collection("a/b")
	o, err := a.onlineBy(t.Context(), c, trust.Settings{Online: "lambda:s?endpoint=" + server.URL})
	if err != nil {
		t.Fatal(err)
	}
	box := repo.Inbox{Store: storage.NewMemory(), Collection: "a/b"}
	p := trust.Pending{Name: "name", Submission: "id"}
	if r, err := o.answer(t.Context(), box, p); err != nil || r.Submission != "id" || asked != 3 {
		t.Errorf("asked %d times: %+v, %v", asked, r, err)
	}
	if said, err := os.ReadFile(talk.Name()); err != nil || strings.Count(string(said), `target "a" is being removed`) != 1 {
		t.Errorf("it says %q, %v", said, err)
	}
	asked = -1 << 30
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := o.answer(ctx, box, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestMissingHint: what the store has lost is sent again where its file is here, and
// is never taken back for that.
func TestMissingHint(t *testing.T) {
	a := &app{trust: trust.Open(t.TempDir())}
	c := a.trust.Collection("a/b")
	if err := c.Create(trust.Settings{}, func(*trust.Cache) error { return nil }); err != nil {
		t.Fatal(err)
	}
	target := repo.Change{ID: "1", Action: repo.Add, Role: "targets", Name: "there", Source: "file"}
	other := repo.Change{ID: "2", Action: repo.Add, Role: "targets", Name: "elsewhere"}
	if _, err := c.Changelist().Append(target, other); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"there":     "publisher publish a/b sends it again",
		"elsewhere": "publisher status a/b, then publisher reset a/b -n NUMBER",
	} {
		err := a.explain(c, &repo.Rejection{Role: "targets", Reason: &repo.MissingError{Name: name}})
		if _, hint := diagnose(err); hint != want {
			t.Errorf("%s: the hint is %q", name, hint)
		}
	}
}
