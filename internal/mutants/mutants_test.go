package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// files is where the checks are.
var files = []string{
	"repo/verify.go", "repo/profile.go", "repo/inbox.go", "repo/recover.go", "repo/chain.go",
	"lambda/commit.go", "lambda/create.go", "lambda/event.go", "lambda/guard.go", "lambda/held.go", "lambda/key.go", "lambda/offer.go", "lambda/request.go",
}

// suites is the tests that are run against each mutant, the quick ones first.
var suites = []struct{ pkg, run, skip string }{
	{"repo", "^Test(Reject|Forge|Depth)", ""},
	{"lambda", "", "^Test(Figures|Sweep|Converge|Passphrase)"},
	{"repo", "", "^Test(Reject|Race|Crash|Property|Rotation|RefreshBeside)"},
}

// survive is the mutants that no test can tell from the program, and why.
var survive = map[string]string{
	"repo/profile.go CheckTargetFile: err != nil → return fmt.Errorf(\"%q is not a sha256 in lower-case hex\", sum)": "what does not decode is not what its bytes encode to",
	"repo/inbox.go Answer: err != nil → return nil, fmt.Errorf(\"encode receipt: %w\", err)":                         "a receipt can always be encoded",
	"lambda/event.go open: err != nil → return nil, refused(eventHint, \"the event is malformed: %v\", err)":         "the gate has the shape of what is decoded, and the decoder refuses most of what the gate does",
	"lambda/event.go record: json.Unmarshal(data, &r) != nil → return":                                               "the gate has the shape of what is decoded",
	"lambda/event.go bridged: json.Unmarshal(e.Detail, &at) != nil → return":                                         "the gate has the shape of what is decoded",
	"lambda/key.go makeKey: err != nil → return nil, fmt.Errorf(\"encode %s key: %w\", role, err)":                   "the object of a key can always be encoded",
}

// TestMutants builds the module with every check on a switch, and turns off one
// after the other.
func TestMutants(t *testing.T) {
	if os.Getenv("PUBLISHER_MUTANTS") == "" {
		t.Skip("takes minutes; make mutants runs it")
	}
	dir := t.TempDir()
	copyModule(t, dir)
	mutants := mutateFiles(t, dir)
	b := build(t, dir)
	if out, failed := b.run(t.Context(), Mutant{}); failed {
		t.Fatalf("without a mutant:\n%s", out)
	}
	survivors := b.survivors(t, mutants)
	for _, m := range survivors {
		if survive[m.key()] == "" {
			t.Errorf("survives: %s", m)
		}
	}
	t.Logf("%d mutants, %d killed, %d survived, of which %d may", len(mutants), len(mutants)-len(survivors), len(survivors), len(survive))
}

// copyModule copies what the tests need of the module.
func copyModule(t *testing.T, to string) {
	t.Helper()
	root := filepath.Join("..", "..")
	list := command(t, root, "go", "list", "-deps", "-test", "-f", "{{if and .Module .Module.Main (not .ForTest)}}{{.ImportPath}}{{end}}", "./repo", "./lambda")
	dirs := []string{"."}
	for _, path := range strings.Fields(list) {
		if rest, ok := strings.CutPrefix(path, "publisher/"); ok && !strings.HasSuffix(rest, ".test") {
			dirs = append(dirs, rest)
		}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".go") || dir == "." && strings.HasPrefix(name, "go.") {
				copyFile(t, filepath.Join(root, dir, name), filepath.Join(to, dir, name))
			}
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, data)
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func mutateFiles(t *testing.T, dir string) []Mutant {
	t.Helper()
	var all []Mutant
	for _, file := range files {
		name := filepath.Join(dir, filepath.FromSlash(file))
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out, mutants, err := mutate(file, src, len(all)+1)
		if err != nil {
			t.Fatal(err)
		}
		if len(mutants) == 0 {
			t.Fatalf("%s has no checks", file)
		}
		all = append(all, mutants...)
		write(t, name, out)
		pkg := filepath.Base(filepath.Dir(name))
		write(t, filepath.Join(filepath.Dir(name), "mutant_switches.go"), fmt.Appendf(nil, switches, pkg))
	}
	return all
}

// built is the test programs of the mutated module.
type built struct{ dir string }

func build(t *testing.T, dir string) built {
	t.Helper()
	for _, pkg := range []string{"repo", "lambda"} {
		command(t, dir, "go", "test", "-c", "-o", pkg+".test", "./"+pkg)
	}
	return built{dir}
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
	}
	return string(out)
}

// run runs the suites with one mutant on, until one fails. Mutants of lambda are
// not part of repo's tests.
func (b built) run(ctx context.Context, m Mutant) (out []byte, failed bool) {
	for _, s := range suites {
		if s.pkg == "repo" && strings.HasPrefix(m.File, "lambda/") {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		cmd := exec.CommandContext(ctx, filepath.Join(b.dir, s.pkg+".test"), "-test.short", "-test.failfast", "-test.run", s.run, "-test.skip", s.skip)
		cmd.Dir = filepath.Join(b.dir, s.pkg)
		cmd.Env = append(os.Environ(), fmt.Sprint("PUBLISHER_MUTANT=", m.N))
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return out, true
		}
	}
	return nil, false
}

// survivors runs all mutants, two at a time.
func (b built) survivors(t *testing.T, mutants []Mutant) (alive []Mutant) {
	t.Helper()
	next := make(chan Mutant)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for m := range next {
				if _, failed := b.run(t.Context(), m); failed {
					continue
				}
				mu.Lock()
				alive = append(alive, m)
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		next <- m
	}
	close(next)
	group.Wait()
	return alive
}
