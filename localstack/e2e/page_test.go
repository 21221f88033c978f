package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"publisher/internal/console"
)

const page = "../../docs/deploy-aws.md"

// TestPage types what docs/deploy-aws.md marks as tested, where moto stands for
// AWS and a terraform that answers with its outputs for Terraform.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- tested -->\n\n```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d blocks are marked, want 3", len(blocks))
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1]
	}
	d := deploy(t)
	shell, err := console.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(shell.Dir, "bin")
	if err := os.Symlink("publisher.exe", filepath.Join(bin, "publisher")); err != nil {
		t.Fatal(err)
	}
	writeTerraform(t, filepath.Join(bin, "terraform"), map[string]string{
		"store": d.cloud.store(d.cloud.public), "inbox": asked(t, d.cloud).store(d.cloud.inbox),
		"online": d.cloud.online(), "url": readOnly(t, d.cloud.url),
	})
	if err := os.WriteFile(filepath.Join(shell.Dir, "install.sh"), []byte("echo hello\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = shell.Dir
	cmd.Env = append(append(shell.Env, d.cloud.env()...), "PATH="+bin+":"+os.Getenv("PATH"), "PUBLISHER_TRUST_DIR="+filepath.Join(shell.Dir, "owner"),
		"PUBLISHER_ROOT_PASSPHRASE=correct horse battery", "PUBLISHER_TARGETS_PASSPHRASE=correct horse battery")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// readOnly serves a URL to those who read, as CloudFront does: moto lets anybody
// write, and doctor says so.
func readOnly(t *testing.T, address string) string {
	t.Helper()
	return guarded(t, address, func(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead })
}

// asked is the cloud for who has credentials: moto asks nobody for them.
func asked(t *testing.T, c *cloud) *cloud {
	t.Helper()
	strict := *c
	strict.endpoint = guarded(t, c.endpoint, func(r *http.Request) bool { return r.Header.Get("Authorization") != "" })
	return &strict
}

// guarded serves what an address does, and refuses some requests.
func guarded(t *testing.T, address string, may func(*http.Request) bool) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	there := httputil.NewSingleHostReverseProxy(u)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !may(r) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		there.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// writeTerraform writes a terraform that knows outputs of examples/minimal, and
// has all of them.
func writeTerraform(t *testing.T, file string, outputs map[string]string) {
	t.Helper()
	there := terraform(t, "examples/minimal/outputs.tf")
	script := "#!/bin/sh\ncase \"$*\" in\n"
	for name, value := range outputs {
		if !strings.Contains(there, fmt.Sprintf("output %q {", name)) {
			t.Errorf("examples/minimal has no output %s", name)
		}
		script += fmt.Sprintf("'-chdir=terraform/examples/minimal output -raw %s') echo '%s' ;;\n", name, value)
	}
	script += "*) echo \"terraform $*?\" >&2; exit 1 ;;\nesac\n"
	if err := os.WriteFile(file, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
}

// TestPageModule: what the page writes in Terraform, the module takes and has.
func TestPageModule(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	variables, outputs := terraform(t, "variables.tf"), terraform(t, "outputs.tf")
	_, block, _ := strings.Cut(string(text), "module \"publisher\" {\n")
	block, _, _ = strings.Cut(block, "\n}\n")
	names := regexp.MustCompile(`(?m)^  ([a-z_]+) +=`).FindAllStringSubmatch(block, -1)
	if len(names) < 6 {
		t.Errorf("the page gives the module %d arguments", len(names))
	}
	for _, m := range names {
		if m[1] != "source" && !strings.Contains(variables, fmt.Sprintf("variable %q {", m[1])) {
			t.Errorf("the module has no variable %s", m[1])
		}
	}
	used := regexp.MustCompile(`module\.publisher\.([a-z_]+)`).FindAllStringSubmatch(string(text), -1)
	if len(used) < 3 {
		t.Errorf("the page uses %d outputs", len(used))
	}
	for _, m := range used {
		if !strings.Contains(outputs, fmt.Sprintf("output %q {", m[1])) {
			t.Errorf("the module has no output %s", m[1])
		}
	}
}
