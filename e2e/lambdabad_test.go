package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/kmsfake"
	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/storage"
)

// TestLambdaBadSubmissions: what lies in the inbox can be anything. The answer
// says what is wrong, the process lives on, and nothing is published.
func TestLambdaBadSubmissions(t *testing.T) {
	d := deploy(t, testserver.VersityGW(t), sealedKeys)
	o := d.owner(t, scripts, nil)
	if _, err := o.Publish(t.Context(), files{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	part := strings.Repeat("5", 64)
	put := func(key string, data []byte) {
		t.Helper()
		if _, err := d.inbox.Put(t.Context(), key, bytes.NewReader(data), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	put(repo.PartKey(scripts, part), []byte(`{}`))
	before := contents(t, d.public)
	for i, tt := range []struct {
		name, manifest string
		want           string
	}{
		{"empty", ``, "its manifest"},
		{"not JSON", `manifest`, "its manifest"},
		{"50 MB", strings.Repeat(" ", 50<<20), "its manifest has more than"},
		{"of another collection", `{"collection":"example.com/other","parts":{}}`, "it is for the collection"},
		{"a part that is not there", `{"collection":"example.com/scripts","parts":{"targets":"` + strings.Repeat("6", 64) + `"}}`, "not in the inbox"},
		{"a part that is another", `{"collection":"example.com/scripts","parts":{"targets":"` + part + `"}}`, "does not have the hash"},
		{"a part outside", `{"collection":"example.com/scripts","parts":{"targets":"../../x"}}`, "not a hash"},
	} {
		name := "01JD8X3W6T000000000000000" + string(rune('0'+i))
		put(repo.SubmissionKey(scripts, name), []byte(tt.manifest))
		_, err := o.Commit(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if diff := cmp.Diff(before, contents(t, d.public)); diff != "" {
		t.Errorf("the public store changed: %s", diff)
	}
	for i, inv := range d.fn.Invocations() {
		if i > 0 && inv.Init > 0 || inv.MaxMemory > 64<<20 {
			t.Errorf("invocation %d: %+v", i, inv)
		}
	}
}

// TestLambdaRefreshOnly: the function that refreshes leaves submissions alone,
// and the one that publishes takes them.
func TestLambdaRefreshOnly(t *testing.T) {
	var keys string
	d := deploy(t, testserver.VersityGW(t), func(k *kmsfake.KMS) string {
		keys = sealedKeys(k)
		return keys
	})
	o := d.owner(t, scripts, nil)
	if _, err := o.Publish(t.Context(), files{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	name, id, err := o.Leave(t.Context(), files{"b": "b"})
	if err != nil {
		t.Fatal(err)
	}
	key := inboxPrefix + "/" + repo.SubmissionKey(scripts, name)
	box := repo.Inbox{Store: d.inbox, Collection: scripts}
	env := d.env
	for _, tt := range []struct {
		function string
		answered bool
	}{{"refresh", false}, {"publish", true}} {
		d.env = append(env[:len(env):len(env)], "PUBLISHER_FUNCTION="+tt.function)
		d.start(t, keys)
		d.send(t, scheduled("aws.scheduler"))
		d.send(t, created(d.bucket, key))
		if _, err := box.Receipt(t.Context(), id); (err == nil) != tt.answered {
			t.Errorf("%s: receipt: %v", tt.function, err)
		}
		if _, err := d.invoke(t.Context(), []byte(`{"action": "refresh"}`)); (err != nil) != tt.answered {
			t.Errorf("%s: refresh: %v", tt.function, err)
		}
	}
}

// TestLambdaConfig: without a configuration that it can use the function does
// not start, and its log says which variable it is.
func TestLambdaConfig(t *testing.T) {
	d := deploy(t, testserver.VersityGW(t), sealedKeys)
	env := d.env
	for _, tt := range []struct{ variable, value string }{
		{"PUBLISHER_STORE", ""},
		{"PUBLISHER_STORE", "file:///tmp"},
		{"PUBLISHER_INBOX", d.served.url},
		{"PUBLISHER_KEYS", "sealed:kms:key"},
		{"PUBLISHER_KEYS", "sealed:passphrase-file=/tmp/x"},
		{"PUBLISHER_CREATE", "../x"},
		{"PUBLISHER_GENESIS", "example.com/scripts=abc"},
		{"PUBLISHER_FUNCTION", "both"},
		{"PUBLISHER_REFRESH_CONCURRENCY", "0"},
	} {
		d.env = append(env[:len(env):len(env)], tt.variable+"="+tt.value)
		d.start(t, sealedKeys(d.kms))
		_, err := d.invoke(t.Context(), []byte(`{"action": "refresh"}`))
		log := strings.Join(d.fn.Log(), "\n")
		if err == nil || !strings.Contains(err.Error(), "Runtime.ExitError") || !strings.Contains(log, tt.variable) {
			t.Errorf("%s=%s: %v\n%s", tt.variable, tt.value, err, log)
		}
	}
}
