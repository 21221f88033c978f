package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A CDN is nginx before an object store.
type CDN struct {
	URL string // without a trailing slash
	log string
}

// nginxConf is what Debian has around the files of conf.d, without what needs a
// system, and in one process.
const nginxConf = `daemon off;
master_process off;
error_log stderr warn;
pid %[1]s/pid;
events {}
http {
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	include %[1]s/conf.d/*.conf;
	access_log %[1]s/access.log publisher;
}
`

// Nginx starts nginx for the time of the test, with a template whose names are
// filled in as its image does: origin is host:port of a store, bucket what is
// served of it. It skips the test where nginx is not installed.
func Nginx(t testing.TB, template, origin, bucket string) CDN {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed; on Debian: apt-get install nginx-light")
	}
	text, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a port may be taken between its choice and its use
		dir, addr := t.TempDir(), freeAddr(t)
		filled := strings.NewReplacer("${PUBLISHER_LISTEN}", addr, "${PUBLISHER_ORIGIN}", origin,
			"${PUBLISHER_BUCKET}", bucket, "${PUBLISHER_CACHE}", filepath.Join(dir, "cache")).Replace(string(text))
		writeConf(t, dir, filled)
		cmd := exec.Command(bin, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
		var log lockedBuffer
		cmd.Stdout, cmd.Stderr = &log, &log
		ended := run(t, cmd)
		if err := ready("http://"+addr, ended); err != nil {
			t.Logf("nginx: %v\n%s", err, log.String())
			cmd.Process.Kill()
			continue
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			<-ended
			if t.Failed() {
				t.Logf("nginx said:\n%s", log.String())
			}
		})
		return CDN{URL: "http://" + addr, log: filepath.Join(dir, "access.log")}
	}
	t.Fatal("nginx does not start")
	return CDN{}
}

func writeConf(t testing.TB, dir, site string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nginx.conf": fmt.Sprintf(nginxConf, dir), "conf.d/publisher.conf": site} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// A Request is a line of the log.
type Request struct {
	Path   string // decoded
	Status string
	Cache  string // HIT, MISS…, - for what never comes out of a cache
}

// Requests returns what has been asked for.
func (c CDN) Requests(t testing.TB) (all []Request) {
	t.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.Split(line, `"`)
		if len(parts) != 3 {
			t.Fatalf("the log has the line %q", line)
		}
		_, path, _ := strings.Cut(parts[1], " ")
		rest := strings.Fields(parts[2])
		all = append(all, Request{Path: path, Status: rest[0], Cache: rest[len(rest)-1]})
	}
	return all
}
