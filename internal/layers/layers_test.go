// Package layers holds the test that arrows between packages point down only.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// packages lists the module's own packages.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps", "publisher/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// TestLayers: what a package may reach, directly or not.
func TestLayers(t *testing.T) {
	for _, rule := range []struct {
		packages string // a pattern of import paths
		avoids   string // what it must not reach, a pattern
		why      string
	}{
		{`^publisher/storage$`, `^publisher/|^[a-z0-9-]+\.[a-z]`, "the contract needs the standard library alone"},
		{`^publisher/storage/`, `^publisher/(repo|trust|cmd|lambda)\b`, "a driver knows nothing of collections"},
		{`^publisher/(repo|trust)\b`, `^publisher/storage/|aws-sdk|minio-go|spf13/cobra|charm\.land`, "the brain knows no driver and no terminal"},
		{`^publisher/lambda$`, `^publisher/(storage/|trust|cmd)|aws-sdk|aws-lambda-go|minio-go|spf13/cobra|charm\.land|^net/http$`, "the signer's library knows neither a driver nor where it runs"},
		{`^publisher/lambda/`, `^publisher/(trust|cmd)|minio-go|spf13/cobra|charm\.land`, "the function starts fast because it is small"},
		{`^publisher/internal/notary$`, `^publisher/(storage|trust|cmd|lambda)\b|^publisher/repo$|^net/http$|spf13/cobra`, "the reader of Notary's format knows no store, no network and no terminal"},
		{`^publisher/repo/(tuf|strict|keys)(/|$)`, `^publisher/(storage|repo|trust)$`, "formats and keys know no collection"},
	} {
		for path, p := range packages(t) {
			if !regexp.MustCompile(rule.packages).MatchString(path) {
				continue
			}
			if i := slices.IndexFunc(p.Deps, func(dep string) bool {
				return regexp.MustCompile(rule.avoids).MatchString(dep) && !strings.HasPrefix(dep, "vendor/") && !inside(dep, path)
			}); i >= 0 {
				t.Errorf("%s reaches %s: %s", path, p.Deps[i], rule.why)
			}
		}
	}
}

// inside lets a driver import what drivers share.
func inside(dep, path string) bool {
	return strings.HasPrefix(path, "publisher/storage/") && strings.HasPrefix(dep, "publisher/storage/")
}

// TestDrivers: one place knows every driver, and the function knows its own.
func TestDrivers(t *testing.T) {
	for path, p := range packages(t) {
		for _, dep := range p.Imports {
			driver := regexp.MustCompile(`^publisher/storage/(s3|minio)$`).MatchString(dep)
			function := path == "publisher/lambda/bootstrap" && dep == "publisher/storage/s3"
			if driver && path != "publisher/cmd/publisher" && !function {
				t.Errorf("%s imports %s: only cmd/publisher does, and lambda/bootstrap the one for S3", path, dep)
			}
		}
	}
}

// TestPure: the repo package gets bytes, clock, signers and stores from its
// callers.
func TestPure(t *testing.T) {
	p, ok := packages(t)["publisher/repo"]
	if !ok {
		t.Fatal("there is no package publisher/repo")
	}
	for _, name := range []string{"os", "net", "net/http", "log", "flag"} {
		if slices.Contains(p.Imports, name) {
			t.Errorf("repo imports %s", name)
		}
	}
	forbidden := regexp.MustCompile(`time\.(Now|Since|Until)\(|fmt\.Print|\bprintln\(`)
	for _, name := range p.GoFiles {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("repo/%s uses %s", name, found)
		}
	}
}
