// Package release holds tests of what a release is made of.
package release

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

// configuration is what of .goreleaser.yaml can go wrong unseen.
type configuration struct {
	Env    []string
	Builds []struct {
		ID, Main       string
		Goos, Goarch   []string
		Flags, Ldflags []string
		ModTimestamp   string `yaml:"mod_timestamp"`
	}
	Archives []struct{ IDs []string }
}

func load(t *testing.T) configuration {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c configuration
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Builds) != 2 || len(c.Archives) != 2 {
		t.Fatalf("%d builds and %d archives", len(c.Builds), len(c.Archives))
	}
	return c
}

// TestConfiguration: what is built for people is there for every system, and
// the zips of the signer are built as make lambda builds them, to the letter.
func TestConfiguration(t *testing.T) {
	c := load(t)
	if !slices.Contains(c.Env, "CGO_ENABLED=0") {
		t.Error("cgo is not turned off")
	}
	for _, b := range c.Builds {
		if _, err := os.Stat(filepath.Join(root, b.Main, "main.go")); err != nil {
			t.Error(err)
		}
		if !slices.Contains(b.Flags, "-trimpath") || !strings.Contains(strings.Join(b.Ldflags, " "), "-buildid=") || b.ModTimestamp == "" {
			t.Errorf("%s is not the same each time it is built", b.ID)
		}
		if b.ID == "publisher" && !slices.Equal(b.Goos, []string{"linux", "darwin", "windows"}) {
			t.Errorf("%s is built for %q", b.ID, b.Goos)
		}
		if b.ID == "lambda" {
			got := fmt.Sprintf("go build %s -ldflags '%s' -o dist/lambda-$*/bootstrap %s", strings.Join(b.Flags, " "), strings.Join(b.Ldflags, " "), b.Main)
			if want := makes(t, "dist/lambda-%.zip"); got != want {
				t.Errorf("the zips are built in two ways:\n%s\n%s", got, want)
			}
		}
	}
}

// makes returns the command by which the Makefile builds a program for a target.
func makes(t *testing.T, target string) string {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(makefile), ": "+target+":\n")
	rule, _, _ = strings.Cut(rule, "\n\n")
	command := regexp.MustCompile(`(?m)^\t(?:GO\w+=\S+ )*(go build .*)$`).FindStringSubmatch(rule)
	if command == nil {
		t.Fatalf("the Makefile does not build %s:\n%s", target, rule)
	}
	return command[1]
}

// TestReproducible builds what is released, by the flags of the configuration,
// in two clones of one tagged commit, which must give the same bytes. The
// command line has to know its tag.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("it links four programs")
	}
	here, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	copyModule(t, here)
	git(t, here, "init", "--quiet")
	git(t, here, "add", "--all")
	git(t, here, "commit", "--quiet", "--message", "all of it")
	git(t, here, "tag", "v1.2.3")
	git(t, here, "clone", "--quiet", here, elsewhere)
	for _, b := range load(t).Builds {
		first, second := build(t, here, b.Main, b.Flags, b.Ldflags), build(t, elsewhere, b.Main, b.Flags, b.Ldflags)
		if !bytes.Equal(first, second) {
			t.Errorf("%s: %d and %d bytes, and they differ", b.ID, len(first), len(second))
		}
		info, err := buildinfo.Read(bytes.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		if b.ID == "publisher" && info.Main.Version != "v1.2.3" {
			t.Errorf("publisher v1.2.3 says that it is %q", info.Main.Version)
		}
	}
}

// git runs git as nobody in particular.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", slices.Concat([]string{"-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"}, args)...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, text)
	}
}

// build runs go as goreleaser does.
func build(t *testing.T, dir, main string, flags, ldflags []string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := slices.Concat([]string{"build"}, flags, []string{"-ldflags=" + strings.Join(ldflags, " "), "-o", out, main})
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// copyModule copies what the programs are built from.
func copyModule(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && rel != "." && (strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "node_modules", "dist", "bin"}, name)):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
