package e2e

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDockerfile: what the first stage builds runs where there is nothing else,
// and what the second one takes is there.
func TestDockerfile(t *testing.T) {
	build := readComposition(t).Services["signer"].Build
	file := filepath.Join("../selfhost", build.Context, build.Dockerfile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stages [][]string // instructions
	known := regexp.MustCompile(`^(FROM|WORKDIR|COPY|RUN|ENV|USER|ENTRYPOINT) \S`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			continue
		case !known.MatchString(line):
			t.Errorf("%s: %q is no instruction that this test knows", file, line)
		case strings.HasPrefix(line, "FROM "):
			stages = append(stages, nil)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], line)
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages", len(stages))
	}
	want := []string{
		"FROM scratch", "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
		"COPY --from=build /publisher /publisher", "ENV PUBLISHER_TRUST_DIR=/trust", "USER " + nobody, `ENTRYPOINT ["/publisher"]`,
	}
	if !slices.Equal(stages[1], want) {
		t.Errorf("the image is %q", stages[1])
	}
	last := stages[0][len(stages[0])-1]
	command, ok := strings.CutPrefix(last, "RUN CGO_ENABLED=0 go build -trimpath -o /publisher ")
	if !ok {
		t.Fatalf("the last step of the build is %q", last)
	}
	bin := filepath.Join(t.TempDir(), "publisher")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, command)
	cmd.Dir = filepath.Join("../selfhost", build.Context)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if needs, err := program.ImportedLibraries(); err != nil || len(needs) > 0 || program.Section(".interp") != nil {
		t.Errorf("the program needs %q, or a loader, and the image has none: %v", needs, err)
	}
}

// TestIgnored: the secrets that docs/self-hosting.md has beside the source stay
// out of commits and images.
func TestIgnored(t *testing.T) {
	for file, everywhere := range map[string]string{"../.gitignore": "", "../selfhost/Dockerfile.dockerignore": "**/"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{".env", "*.credentials", "*.passphrase"} {
			if !slices.Contains(strings.Split(string(text), "\n"), everywhere+secret) {
				t.Errorf("%s lets %s in", file, secret)
			}
		}
	}
}

// TestUnitsRun: each service runs a command that there is, and has a trust
// directory to itself: one who collects garbage has no business with the keys of
// one who signs.
func TestUnitsRun(t *testing.T) {
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	units, err := filepath.Glob("../selfhost/systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("%d services: %v", len(units), err)
	}
	owner := map[string]string{}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		setting := func(name string) string {
			m := regexp.MustCompile("(?m)^" + name + "=(.*)$").FindSubmatch(text)
			if m == nil {
				return ""
			}
			return string(m[1])
		}
		command, ok := strings.CutPrefix(setting("ExecStart"), "/usr/bin/publisher ")
		if out, err := exec.CommandContext(t.Context(), bin, append(strings.Fields(command), "--help")...).CombinedOutput(); err != nil || !ok {
			t.Errorf("%s runs %q: %v\n%s", unit, command, err, out)
		}
		state := setting("StateDirectory")
		if dir := setting("Environment=PUBLISHER_TRUST_DIR"); dir != "%d" && (dir != "%S/"+state || state != setting("User")) {
			t.Errorf("%s has its trust directory in %s, and may write to %s as %s", unit, dir, state, setting("User"))
		}
		if other := owner[state]; state != "" && other != "" {
			t.Errorf("%s and %s share %s", unit, other, state)
		}
		owner[state] = unit
	}
}

// TestUnits: systemd knows every setting of the units, and finds them hardened.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed; on Debian: apt-get install systemd")
	}
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	units, err := filepath.Glob("../selfhost/systemd/*")
	if err != nil || len(units) != 5 {
		t.Fatalf("%d units: %v", len(units), err)
	}
	dir := t.TempDir()
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/bin/publisher"), []byte(bin))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(unit)), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), analyze, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %q: %v\n%s", args, err, out)
		}
	}
	for _, unit := range units {
		unit = filepath.Base(unit)
		run("verify", "--man=no", "./"+unit)
		if strings.HasSuffix(unit, ".service") {
			run("security", "--offline=true", "--no-pager", "--threshold=15", "./"+unit)
		}
	}
}
