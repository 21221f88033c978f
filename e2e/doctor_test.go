package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"publisher/internal/doctor"
	"publisher/internal/testserver"
	"publisher/lambda"
)

// examine has publisher look for what is wrong, and report errors if it says so by
// its exit code.
func (o *owner) examine(t *testing.T, args ...string) (found doctor.Report) {
	t.Helper()
	cmd := o.command(t.Context(), append([]string{"doctor", "--json"}, args...)...)
	out, err := cmd.Output()
	exit := new(exec.ExitError)
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("doctor: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("doctor printed %s: %v", out, err)
	}
	if failed := exit.ProcessState != nil; failed != (found.Errors() > 0) {
		t.Errorf("the exit code says %v of %+v", failed, found.Findings)
	}
	return found
}

// finds fails the test unless these are the checks that found something. Where a
// client fails the collection cannot be read either.
func finds(t *testing.T, what string, found doctor.Report, want ...string) {
	t.Helper()
	for _, check := range want {
		if !slices.ContainsFunc(found.Findings, func(f doctor.Finding) bool { return f.Check == check }) {
			t.Errorf("%s: %s found nothing: %+v", what, check, found)
		}
	}
	for _, f := range found.Findings {
		if !slices.Contains(want, f.Check) && (len(want) == 0 || f.Check != "load" && f.Check != "promises") {
			t.Errorf("%s: found %+v", what, f)
		}
	}
}

// TestDoctorCDN spoils one rule of nginx after another.
func TestDoctorCDN(t *testing.T) {
	const collection = "example.com/cdn"
	template, err := os.ReadFile(nginxTemplate)
	if err != nil {
		t.Fatal(err)
	}
	server := testserver.VersityGW(t)
	o := newOwner(t, throughS3(t, server))
	o.init(t, collection)
	tree := t.TempDir()
	files{"a+b": "plus", "sub/tool": "a tool"}.write(t, tree)
	finds(t, "nothing is published", o.examine(t, collection))
	o.run(t, "add", collection, "-R", tree, "--publish")

	const notKept, timestamp = "proxy_cache off;", "location ~ /metadata/timestamp\\.json$ {"
	for name, row := range map[string]struct {
		edits []string
		want  []string
	}{
		"healthy":                     {nil, nil},
		"404s are kept":               {[]string{"proxy_no_cache       $publisher_error;", "proxy_cache_valid 404 10m;"}, []string{"what is new is seen", "missing is not remembered"}},
		"404s are kept in silence":    {[]string{"proxy_no_cache       $publisher_error;", "proxy_cache_valid 404 10m;", "proxy_pass http://publisher_origin;\n    }\n\n    # All", "proxy_pass http://publisher_origin; proxy_cache_valid 404 10m;\n    }\n\n    # All", `add_header X-Cache-Status                $upstream_cache_status always;`, ""}, []string{"what is new is seen"}},
		"timestamp is kept":           {[]string{notKept, "proxy_cache_valid 200 10m; proxy_ignore_headers Cache-Control Set-Cookie Vary X-Accel-Expires;"}, []string{"what is new is seen", "timestamp is not cached"}},
		"timestamp may be kept":       {[]string{timestamp, timestamp + " expires 1h; proxy_hide_header Cache-Control;"}, []string{"timestamp is not cached"}},
		"the next root is forbidden":  {[]string{timestamp, "location ~ /2\\.root\\.json$ { return 403; }\n" + timestamp}, []string{"next root"}},
		"a page for what is missing":  {[]string{timestamp, "location ~ /2\\.root\\.json$ { return 200 \"<html>\"; }\n" + timestamp}, []string{"next root"}},
		"targets lead elsewhere":      {[]string{timestamp, "location ~ /targets/ { return 302 https://example.com$uri; }\n" + timestamp}, []string{"redirects"}},
		"the targets break off":       {[]string{timestamp, "location ~ \\.targets\\.json$ { return 444; }\n" + timestamp}, []string{"bytes are as signed"}},
		"no CORS":                     {[]string{`add_header Access-Control-Allow-Origin   "*" always;`, ""}, []string{"CORS"}},
		"no CORS with errors":         {[]string{`add_header Access-Control-Allow-Origin   "*" always;`, `add_header Access-Control-Allow-Origin "*";`}, []string{"CORS"}},
		"a listing of the collection": {[]string{timestamp, "location = /example.com/cdn/ { default_type text/html; return 200 \"<html><head><title>Index of /example.com/cdn/</title>\"; }\n" + timestamp}, []string{"listings"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(row.edits); i += 2 {
				if !strings.Contains(string(template), row.edits[i]) {
					t.Fatalf("nginx.conf has no %q any more", row.edits[i])
				}
			}
			spoiled := filepath.Join(t.TempDir(), "template")
			if err := os.WriteFile(spoiled, []byte(strings.NewReplacer(row.edits...).Replace(string(template))), 0o666); err != nil {
				t.Fatal(err)
			}
			cdn := testserver.Nginx(t, spoiled, server.Host(), server.Bucket+"/"+prefix)
			finds(t, name, o.examine(t, collection, "--url", cdn.URL), row.want...)
			// From outside no more can be told of some than that it does not work.
			if found := o.examine(t, cdn.URL+"/"+collection); slices.Contains(row.want, "bytes are as signed") {
				finds(t, name+", from outside", found, "load")
			} else if !slices.Contains(row.want, "what is new is seen") {
				finds(t, name+", from outside", found, row.want...)
			}
		})
	}
}

// TestDoctorAuthority: to publish with what the policies give is healthy, and
// whoever may do everything is told so.
func TestDoctorAuthority(t *testing.T) {
	a := newAuthority(t, testserver.VersityGW(t, "--sidecar", t.TempDir()))
	a.byBuckets(t, everybody)
	a.isExamined(t)
}

// TestDoctorAuthorityMinIO is TestDoctorAuthority with policies of users.
func TestDoctorAuthorityMinIO(t *testing.T) {
	a := newAuthority(t, testserver.MinIO(t))
	a.byUsers(t, everybody)
	a.isExamined(t)
}

func (a *authority) isExamined(t *testing.T) {
	d := a.function(t, "publish", lambda.Publishing)
	o := newOwner(t, a.as(t, "publisher"))
	o.init(t, scripts, a.online(d)...)
	finds(t, "nothing is published", o.examine(t, scripts))
	tree := t.TempDir()
	files{"tool": "a tool"}.write(t, tree)
	o.run(t, "add", scripts, "-R", tree, "--publish")
	o.run(t, "key", "rotate", scripts, "snapshot", "-r", "--yes")
	other := newOwner(t, a.as(t, "other"))
	other.init(t, others, a.online(d)...)
	other.run(t, "add", others, "-R", tree, "--publish")

	found := o.examine(t, scripts)
	finds(t, "a publisher", found)
	for _, s := range found.Skipped {
		if s.Denied {
			t.Errorf("a publisher is told of what it need not see: %+v", s)
		}
	}
	mighty := o.another(t)
	mighty.store.env = s3Address(a.public).env
	finds(t, "the owner of the buckets", mighty.examine(t, scripts), "metadata is the signer's", "keys are the signer's", "other inboxes")
}
