package e2e

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"publisher/internal/interop"
	"publisher/internal/testserver"
)

// A composition is what the tests read of compose.yaml.
type composition struct {
	Services map[string]struct {
		Command     []string
		Entrypoint  []string
		Environment map[string]string
		Volumes     []string
		Build       struct{ Context, Dockerfile string }
	}
}

// readComposition fills in the secrets of env.example, of which none may be
// missing.
func readComposition(t *testing.T) composition {
	t.Helper()
	env, err := os.ReadFile("../selfhost/env.example")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(\S+)$`).FindAllStringSubmatch(string(env), -1) {
		secrets[m[1]] = m[2]
	}
	text, err := os.ReadFile("../selfhost/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`\$\{([A-Z_]+):\?[^}]*\}`).ReplaceAllFunc(text, func(m []byte) []byte {
		name, _, _ := strings.Cut(string(m[2:]), ":")
		if secrets[name] == "" {
			t.Errorf("env.example has no %s", name)
		}
		return []byte(secrets[name])
	})
	var c composition
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompose does on this machine what compose.yaml has containers do: buckets
// and users are made, a signer answers, nginx serves, and clients that others
// wrote pull what was published.
func TestCompose(t *testing.T) {
	c := readComposition(t)
	server := testserver.VersityGW(t, "--sidecar", t.TempDir())
	here := strings.NewReplacer("http://store:7070", server.Endpoint, "store:7070", server.Host(), "0.0.0.0:4444", "127.0.0.1:0")
	setup := c.Services["setup"].Environment
	setup["STORE"] = here.Replace(setup["STORE"])
	setup["ROOT_ACCESS_KEY"], setup["ROOT_SECRET_KEY"] = server.AccessKey, server.SecretKey
	for range 2 { // again is as good as once
		setUp(t, c.Services["setup"].Entrypoint, setup)
	}

	signer := c.Services["signer"]
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("a long passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range signer.Command {
		args = append(args, strings.Replace(here.Replace(arg), "/run/secrets/passphrase", pass, 1))
	}
	endpoint := startAs(t, signer.Environment, args)

	cdn := c.Services["cdn"].Environment
	front := testserver.Nginx(t, nginxTemplate, here.Replace(cdn["PUBLISHER_ORIGIN"]), cdn["PUBLISHER_BUCKET"])
	place := func(bucket string) string {
		return "s3://" + bucket + "?" + url.Values{"region": {server.Region}, "endpoint": {server.Endpoint}}.Encode()
	}
	by := store{url: place("public"), public: front.URL, env: []string{"AWS_ACCESS_KEY_ID=publisher", "AWS_SECRET_ACCESS_KEY=" + setup["PUBLISHER_SECRET"]}}
	o := newOwner(t, by)
	root := o.init(t, scripts, "--inbox", place("inbox"), "--online", "lambda:signer?endpoint="+endpoint)
	tree, there := t.TempDir(), files{"hello.txt": "hello", "a+b": "plus"}
	there.write(t, tree)
	o.run(t, "add", scripts, "-R", tree, "--publish")
	for _, client := range interop.Clients(t) {
		if err := client.Pull(t.Context(), pull(t, by, scripts, root, there.sums())); err != nil {
			t.Error(err)
		}
	}
	if out, err := o.try(t.Context(), "delete", scripts, "--remote", "--yes"); err == nil {
		t.Errorf("a publisher deletes what is published: %s", out)
	}
}

// setUp runs setup.sh, which is what the service does.
func setUp(t *testing.T, entrypoint []string, env map[string]string) {
	t.Helper()
	if want := []string{"sh", "/selfhost/setup.sh"}; !slices.Equal(entrypoint, want) {
		t.Fatalf("setup runs %q", entrypoint)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "../selfhost/setup.sh")
	cmd.Env = append(environ(env), "PATH="+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
}

func environ(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// startAs runs publisher with an environment that has nothing else, as a
// container FROM scratch, until the test ends, and returns where it listens.
func startAs(t *testing.T, env map[string]string, args []string) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin, args...)
	cmd.Env = append(environ(env), "PUBLISHER_TRUST_DIR=/trust")
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("publisher %q: %v\n%s", args, err, &talk)
		}
	})
	var said string
	if _, err := fmt.Fscanf(out, "signer lambda:signer?endpoint=%s\n", &said); err != nil {
		t.Fatalf("publisher %q said nothing: %v\n%s", args, err, &talk)
	}
	return said
}

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
		"COPY --from=build /publisher /publisher", "ENV PUBLISHER_TRUST_DIR=/trust", "USER 65532:65532", `ENTRYPOINT ["/publisher"]`,
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
