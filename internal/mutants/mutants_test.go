package mutants

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// files is where the checks are that nothing may be published, signed, copied or
// removed without.
var files = []string{
	"repo/burned.go", "repo/certs.go", "repo/chain.go", "repo/commit.go", "repo/cosign.go", "repo/delegation.go", "repo/erase.go", "repo/gc.go",
	"repo/grace.go", "repo/inbox.go", "repo/load.go", "repo/mark.go", "repo/mirror.go", "repo/mirror_there.go", "repo/profile.go", "repo/prune.go", "repo/recover.go", "repo/resume.go",
	"repo/stock.go", "repo/takeback.go", "repo/targetname.go", "repo/verify.go",
	"lambda/attempt.go", "lambda/commit.go", "lambda/cosign.go", "lambda/create.go", "lambda/event.go", "lambda/guard.go", "lambda/held.go",
	"lambda/index.go", "lambda/key.go", "lambda/keyless.go", "lambda/keyring.go", "lambda/offer.go", "lambda/patience.go", "lambda/refresh.go",
	"lambda/request.go", "lambda/seen.go", "lambda/signer.go", "lambda/sweep.go", "lambda/window.go",
}

// others is the files with checks that are not mutated: of those who publish,
// read, or look. Whatever these let pass, the ones above are before it is published.
var others = []string{
	"repo/behind.go", "repo/cache.go", "repo/check.go", "repo/check_access.go", "repo/content.go", "repo/difference.go", "repo/draft.go", "repo/draftfile.go", "repo/errors.go",
	"repo/expiry.go", "repo/history.go", "repo/history_role.go", "repo/history_root.go", "repo/init.go", "repo/layout.go", "repo/lookup.go", "repo/mail.go",
	"repo/object.go", "repo/other.go", "repo/pin.go", "repo/plan.go", "repo/plan_delegation.go", "repo/plan_renew.go", "repo/plan_tree.go", "repo/publish.go",
	"repo/ready.go", "repo/refresh.go", "repo/remote.go", "repo/review.go", "repo/rotate.go", "repo/shared.go", "repo/sign.go", "repo/start.go",
	"repo/survey.go", "repo/upload.go", "repo/visits.go", "lambda/cache.go", "lambda/counts.go",
}

// skipped is the tests that take long, or read what is no Go file.
var skipped = map[string]string{
	"repo":   "^Test(Race|Crash|Property|Rotation|RefreshBeside)",
	"lambda": "^Test(Figures|Sweep|Converge|Passphrase|ClockAlarm|AlarmMetrics)",
}

// survive is the mutants that no test can tell from the program, and why.
var survive = map[string]string{
	"repo/commit.go commitOnto: err != nil → return nil, err":                                                                                                                 "nothing is known that our own checks let pass and a stock client refuses; TestCommitAsksStockClient makes it up",
	"repo/commit.go stillCurrent: err != nil → return errors.Join(err, errRace)":                                                                                              "what was not read has no version, and that is another one",
	"repo/gc.go snapshot: r.seen[key] → continue":                                                                                                                             "it spares reading a file again",
	"repo/mark.go encodeMark: err != nil → return nil, fmt.Errorf(\"encode mark: %w\", err)":                                                                                  "names can always be encoded",
	"repo/mirror.go Load: !v.Published() → return nil, 0, ErrNotPublished":                                                                                                    "to list its targets fails with the same",
	"repo/mirror.go timestamp: err != nil → return fmt.Errorf(\"write %s: %w\", key, errors.Join(putErr, err))":                                                               "what was not read is not these bytes",
	"lambda/create.go FirstRoots: err != nil → return nil, fmt.Errorf(\"%.80q is not the SHA-256 of a root, in lower-case hex\", sum)":                                        "what does not decode is not what its bytes encode to",
	"lambda/signer.go Handle: err != nil → return nil, fmt.Errorf(\"encode answer: %w\", err)":                                                                                "an answer can always be encoded",
	"repo/verify.go sameContent: a.Hashes[\"sha256\"] != \"\" in return a.Length == b.Length && a.Hashes[\"sha256\"] != \"\" && a.Hashes[\"sha256\"] == b.Hashes[\"sha256\"]": "what is submitted has a sha256, or is refused before",
	"repo/inbox.go isSHA256: err == nil in return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s":                                                      "what does not decode is not what its bytes encode to",
	"repo/mirror.go write: readErr != nil → return fmt.Errorf(\"write %s: %w\", key, err)":                                                                                    "what was not read is not these bytes",
	"repo/recover.go hasBegun: !root.Signed.Publisher.RootFirst → return false":                                                                                               "what a root does not verify that need not come first nobody takes, who recovers or not",
	"repo/verify.go mayStart: len(n.initial) == 0 → return false, nil":                                                                                                        "without initial keys there are none to leave out",
	"lambda/seen.go writeSeen: err != nil → return fmt.Errorf(\"encode note: %w\", err)":                                                                                      "two numbers can always be encoded",
	"lambda/attempt.go writeAttempts: err != nil → return \"\", fmt.Errorf(\"encode attempts: %w\", err)":                                                                     "names and times can always be encoded",
	"lambda/attempt.go tidyAttempts: !s.hasTime(ctx) → return nil":                                                                                                            "it is about how long a run takes",
	"lambda/signer.go hasTime: ctx.Err() == nil in return ctx.Err() == nil && (!ok || time.Until(deadline) > s.Margin)":                                                       "it is about how long a run takes that was called off",
	"repo/profile.go CheckTargetFile: err != nil → return fmt.Errorf(\"%q is not a sha256 in lower-case hex\", sum)":                                                          "what does not decode is not what its bytes encode to",
	"repo/inbox.go Answer: err != nil → return nil, fmt.Errorf(\"encode receipt: %w\", err)":                                                                                  "a receipt can always be encoded",
	"lambda/event.go open: err != nil → return nil, refused(eventHint, \"the event is malformed: %v\", err)":                                                                  "the gate has the shape of what is decoded, and the decoder refuses most of what the gate does",
	"lambda/event.go record: json.Unmarshal(data, &r) != nil → return":                                                                                                        "the gate has the shape of what is decoded",
	"lambda/event.go bridged: json.Unmarshal(e.Detail, &at) != nil → return":                                                                                                  "the gate has the shape of what is decoded",
	"lambda/key.go makeKey: err != nil → return nil, fmt.Errorf(\"encode %s key: %w\", role, err)":                                                                            "the object of a key can always be encoded",
}

// TestMutants builds the module with every check on a switch, and turns off one
// after the other.
func TestMutants(t *testing.T) {
	only := os.Getenv("PUBLISHER_MUTANTS")
	if only == "" {
		t.Skip("takes minutes; make mutants runs it")
	}
	dir := t.TempDir()
	copyModule(t, dir)
	mutants := chosen(t, mutateFiles(t, dir), only)
	b := build(t, dir)
	survivors := b.survivors(t, mutants)
	for _, m := range survivors {
		if survive[m.key()] == "" {
			t.Errorf("survives: %s", m)
		}
	}
	t.Logf("%d mutants, %d killed, %d survived, of which %d may", len(mutants), len(mutants)-len(survivors), len(survivors), len(survive))
}

// chosen is the mutants that match a pattern, 1 for all.
func chosen(t *testing.T, all []Mutant, only string) []Mutant {
	t.Helper()
	if only == "1" {
		return all
	}
	pattern, err := regexp.Compile(only)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(m Mutant) bool { return !pattern.MatchString(m.String()) })
	if len(all) == 0 {
		t.Fatalf("no mutant matches %s", only)
	}
	return all
}

// TestRegistry is that nothing has moved away from under the mutants: every file
// that has checks is named here, and every mutant that may survive is there.
func TestRegistry(t *testing.T) {
	there, last := map[string]bool{}, 0
	for _, pattern := range []string{"repo/*.go", "lambda/*.go"} {
		names, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file := path.Join(path.Dir(pattern), filepath.Base(name))
			_, mutants, err := mutate(file, src, last+1)
			if err != nil {
				t.Fatal(err)
			}
			last += len(mutants)
			mutated := slices.Contains(files, file)
			if known := mutated || slices.Contains(others, file); known != (len(mutants) > 0) {
				t.Errorf("%s has %d checks; it is named here: %t", file, len(mutants), known)
			}
			for _, m := range mutants {
				there[m.key()] = mutated
			}
		}
	}
	named := slices.Sorted(slices.Values(slices.Concat(files, others)))
	for i, file := range named {
		if i > 0 && named[i-1] == file {
			t.Errorf("%s is named twice", file)
		}
		if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(file))); err != nil {
			t.Error(err)
		}
	}
	for key := range survive {
		if !there[key] {
			t.Errorf("may survive, but there is no such mutant: %s", key)
		}
	}
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
	linkRest(t, root, to)
}

// linkRest makes the other directories of the module seen: tests compare with what
// lies there.
func linkRest(t *testing.T, root, to string) {
	t.Helper()
	from, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(to, e.Name())); !e.IsDir() || err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			t.Fatal(err)
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
type built struct {
	dir   string
	tests []test // the quick ones first
}

// A test is one of a package, and the mutants whose checks refuse something in it.
// No other can be told from the program by it.
type test struct {
	pkg, name string
	took      time.Duration
	met       map[int]bool
}

func build(t *testing.T, dir string) *built {
	t.Helper()
	b := &built{dir: dir}
	for pkg, skip := range skipped {
		command(t, dir, "go", "test", "-c", "-o", pkg+".test", "./"+pkg)
		slow := regexp.MustCompile(skip)
		for _, name := range strings.Fields(command(t, dir, "./"+pkg+".test", "-test.list", "^Test")) {
			if !slow.MatchString(name) {
				b.tests = append(b.tests, b.meet(t, pkg, name))
			}
		}
	}
	slices.SortFunc(b.tests, func(x, y test) int { return cmp.Compare(x.took, y.took) })
	return b
}

// meet runs a test without a mutant.
func (b *built) meet(t *testing.T, pkg, name string) test {
	t.Helper()
	file, start := filepath.Join(b.dir, "met"), time.Now()
	write(t, file, nil)
	if out, err := b.run(t.Context(), pkg, name, "PUBLISHER_MUTANTS_MET="+file); err != nil {
		t.Fatalf("%s without a mutant: %v\n%s", name, err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	met := map[int]bool{}
	for _, line := range strings.Fields(string(data)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		met[n] = true
	}
	return test{pkg, name, time.Since(start), met}
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

// killed runs the tests that meet a mutant, with that on, until one fails.
// Mutants of lambda are not part of repo's tests.
func (b *built) killed(ctx context.Context, m Mutant) bool {
	return slices.ContainsFunc(b.tests, func(x test) bool {
		if !x.met[m.N] {
			return false
		}
		_, err := b.run(ctx, x.pkg, x.name, fmt.Sprint("PUBLISHER_MUTANT=", m.N))
		return err != nil
	})
}

func (b *built) run(ctx context.Context, pkg, name, env string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, pkg+".test"), "-test.run", "^"+name+"$")
	cmd.Dir = filepath.Join(b.dir, pkg)
	cmd.Env = append(os.Environ(), env)
	return cmd.CombinedOutput()
}

// survivors runs all mutants, a few at a time.
func (b *built) survivors(t *testing.T, mutants []Mutant) (alive []Mutant) {
	t.Helper()
	next := make(chan Mutant)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range min(2, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for m := range next {
				start := time.Now()
				killed := b.killed(t.Context(), m)
				t.Logf("killed %t in %v: %s", killed, time.Since(start).Round(time.Millisecond), m)
				if killed {
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
