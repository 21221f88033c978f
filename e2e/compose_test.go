package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
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

// nobody is the user and the group of the image.
const nobody = "65532:65532"

// A service is what the tests read of one of compose.yaml.
type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Entrypoint  []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	NetworkMode string `yaml:"network_mode"`
	ReadOnly    bool   `yaml:"read_only"`
	Secrets     []struct{ Source, UID, GID string }
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct {
		Condition string
		Restart   bool
	} `yaml:"depends_on"`
	Restart string
}

// A composition is what the tests read of compose.yaml.
type composition struct {
	Services map[string]service
	Secrets  map[string]struct{ Environment string }
}

// example is env.example, by name.
func example(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../selfhost/env.example")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(\S+)$`).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// readComposition fills in what is in env.example, of which nothing may be
// missing.
func readComposition(t *testing.T) composition {
	t.Helper()
	known := example(t)
	text, err := os.ReadFile("../selfhost/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`\$\{([A-Z_]+):\?[^}]*\}`).ReplaceAllFunc(text, func(m []byte) []byte {
		name, _, _ := strings.Cut(string(m[2:]), ":")
		if known[name] == "" {
			t.Errorf("env.example has no %s", name)
		}
		return []byte(known[name])
	})
	var c composition
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// network is the service whose network a service is in: its own, or another's.
func (c composition) network(name string) string {
	if other, ok := strings.CutPrefix(c.Services[name].NetworkMode, "service:"); ok {
		return other
	}
	return name
}

// option returns the value of a flag in the command of a service.
func (c composition) option(service, flag string) string {
	for _, arg := range c.Services[service].Command {
		if value, ok := strings.CutPrefix(arg, flag+"="); ok {
			return value
		}
	}
	return ""
}

// listening is where each service listens; versitygw does on this port when it
// is not told another one.
func (c composition) listening() map[string]string {
	return map[string]string{"store": ":7070", "signer": c.option("signer", "--listen"), "cdn": ":" + c.Services["cdn"].Environment["PUBLISHER_LISTEN"]}
}

// reached returns who listens on a port of a network, or "".
func (c composition) reached(network, port string) string {
	for name, address := range c.listening() {
		if c.network(name) == network && strings.HasSuffix(address, ":"+port) {
			return name
		}
	}
	return ""
}

// TestComposeNetwork: a service that shares another's network publishes nothing
// and comes again with it, whoever listens is published by the one that has the
// network, and every address that is named is one where somebody listens.
func TestComposeNetwork(t *testing.T) {
	c := readComposition(t)
	address := regexp.MustCompile(`\b(127\.0\.0\.1|[a-z][a-z0-9-]*):(\d+)\b`)
	for name, s := range c.Services {
		network := c.network(name)
		if s.NetworkMode != "" && (network == name || len(s.Ports) > 0 || c.Services[network].Image == "" || s.Restart != "on-failure" && !s.DependsOn[network].Restart) {
			t.Errorf("%s cannot be in the network of %s, or not stay there: %+v", name, network, s)
		}
		said := slices.Concat(s.Command, environ(s.Environment), s.Healthcheck.Test)
		for _, m := range address.FindAllStringSubmatch(strings.Join(said, " "), -1) {
			if m[1] == "127.0.0.1" {
				m[1] = network
			} else if s.DependsOn[m[1]].Condition == "" {
				t.Errorf("%s asks %s, and does not wait for it", name, m[1])
			}
			if c.reached(m[1], m[2]) == "" {
				t.Errorf("%s asks %s, where nobody listens", name, m[0])
			}
		}
	}
	published := map[string]string{"store": "127.0.0.1:7070:7070", "signer": "127.0.0.1:4444:4444", "cdn": "8080:80"} // as docs/self-hosting.md has it
	for name, listen := range c.listening() {
		network := c.network(name)
		if host, _, err := net.SplitHostPort(listen); err != nil || host != "" && host != "0.0.0.0" {
			t.Errorf("%s listens on %q, where Docker does not reach it: %v", name, listen, err)
		}
		if port := published[name]; !slices.Contains(c.Services[network].Ports, port) || !strings.HasSuffix(port, listen[strings.LastIndex(listen, ":"):]) {
			t.Errorf("%s listens on %s, and %s publishes %q", name, listen, network, c.Services[network].Ports)
		}
	}
}

// TestComposeOrder: who waits for another waits for what that one tells, with a
// program that its image has.
func TestComposeOrder(t *testing.T) {
	c := readComposition(t)
	for name, s := range c.Services {
		for other, depends := range s.DependsOn {
			health, ends := len(c.Services[other].Healthcheck.Test) > 0, c.Services[other].Restart == "on-failure"
			if !(depends.Condition == "service_healthy" && health) && !(depends.Condition == "service_completed_successfully" && ends) {
				t.Errorf("%s waits for %s to be %q, which it does not tell", name, other, depends.Condition)
			}
		}
		if test := s.Healthcheck.Test; len(test) > 0 && (name != "store" || test[0] != "CMD" || test[1] != "wget") { // of busybox, in the image of versitygw
			t.Errorf("the image of %s has no %q", name, test)
		}
		if s.Build.Context == "" && !regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+(\.\d+)?$`).MatchString(s.Image) {
			t.Errorf("%s is whatever version %q is", name, s.Image)
		}
		for _, volume := range s.Volumes {
			if here, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(here, ".") {
				if _, err := os.Stat(filepath.Join("../selfhost", here)); err != nil || here == "." {
					t.Errorf("%s has %s: %v", name, volume, err)
				}
			}
		}
	}
	signer := c.Services["signer"].DependsOn
	if signer["setup"].Condition == "" || signer["store"].Condition == "" {
		t.Errorf("the signer starts without its buckets: %v", signer)
	}
}

// TestComposeSecrets: the passphrase comes from .env, where the user of the image
// reads it. Compose writes such a secret into the container, which an engine
// refuses if that is read-only.
func TestComposeSecrets(t *testing.T) {
	c := readComposition(t)
	for name, s := range c.Services {
		for _, secret := range s.Secrets {
			from := c.Secrets[secret.Source].Environment
			if from == "" || example(t)[from] == "" {
				t.Errorf("%s comes from %q, which env.example does not have", secret.Source, from)
			}
			if s.ReadOnly {
				t.Errorf("%s is read-only, and is to get %s", name, secret.Source)
			}
			if secret.UID+":"+secret.GID != nobody {
				t.Errorf("%s belongs to %s:%s, and %s runs as %s", secret.Source, secret.UID, secret.GID, name, nobody)
			}
		}
	}
	signer := c.Services["signer"].Secrets
	if keys := c.option("signer", "--keys"); len(signer) != 1 || keys != "sealed:passphrase-file=/run/secrets/"+signer[0].Source {
		t.Errorf("the signer reads %s, and has %+v", keys, signer)
	}
}

// TestCompose does on this machine what compose.yaml has containers do: buckets
// and users are made, a signer answers, nginx serves, and clients that others
// wrote pull what was published.
func TestCompose(t *testing.T) {
	c := readComposition(t)
	for name, value := range c.Services["store"].Environment {
		if strings.HasPrefix(name, "VGW_") {
			t.Setenv(name, value)
		}
	}
	server := testserver.VersityGW(t, "--sidecar", t.TempDir())
	here := strings.NewReplacer("http://127.0.0.1:7070", server.Endpoint, "store:7070", server.Host(), "0.0.0.0:4444", "127.0.0.1:0")
	checkHealth(t, here.Replace(c.Services["store"].Healthcheck.Test[5]))
	setup := c.Services["setup"].Environment
	setup["STORE"] = here.Replace(setup["STORE"])
	setup["ROOT_ACCESS_KEY"], setup["ROOT_SECRET_KEY"] = server.AccessKey, server.SecretKey
	for range 2 { // again is as good as once
		setUp(t, c.Services["setup"], setup)
	}

	signer := c.Services["signer"]
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("a long passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	passphrase := strings.NewReplacer("/run/secrets/passphrase", pass)
	// As it stands there, but for the port, which may be taken on this machine: it takes these addresses.
	startAs(t, signer.Environment, replaced(signer.Command, passphrase, strings.NewReplacer("0.0.0.0:4444", "0.0.0.0:0")))
	endpoint := startAs(t, signer.Environment, replaced(signer.Command, passphrase, here))

	cdn := c.Services["cdn"].Environment
	front := testserver.Nginx(t, nginxTemplate, here.Replace(cdn["PUBLISHER_ORIGIN"]), cdn["PUBLISHER_BUCKET"])
	place := func(bucket string) string {
		return "s3://" + bucket + "?" + url.Values{"region": {server.Region}, "endpoint": {server.Endpoint}}.Encode()
	}
	by := store{url: place("public"), public: front.URL, env: followPage(t)}
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

func replaced(args []string, by ...*strings.Replacer) (all []string) {
	for _, arg := range args {
		for _, r := range by {
			arg = r.Replace(arg)
		}
		all = append(all, arg)
	}
	return all
}

// checkHealth asks what the health check of the store asks.
func checkHealth(t *testing.T, address string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", address, resp.Status)
	}
}

// setUp runs setup.sh, which is what the service does. No secret may be among
// the arguments of a program.
func setUp(t *testing.T, setup service, env map[string]string) {
	t.Helper()
	if want := []string{"sh", "/selfhost/setup.sh"}; !slices.Equal(setup.Entrypoint, want) || !slices.Contains(setup.Volumes, "./setup.sh:/selfhost/setup.sh:ro") || !slices.Contains(setup.Volumes, "./policies:/selfhost/policies:ro") {
		t.Fatalf("setup runs %q of %q", setup.Entrypoint, setup.Volumes)
	}
	dir := t.TempDir()
	heard := impersonate(t, dir, "curl", `exec `+look(t, "curl")+` "$@"`)
	cmd := exec.CommandContext(t.Context(), "sh", "../selfhost/setup.sh")
	cmd.Env = append(environ(env), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
	args := heard()
	if len(args) < 5 {
		t.Errorf("setup.sh asks %q", args)
	}
	for name, secret := range env {
		if strings.HasSuffix(name, "_SECRET") || name == "ROOT_SECRET_KEY" {
			if strings.Contains(strings.Join(args, "\n"), secret) {
				t.Errorf("everybody on the machine sees %s", name)
			}
		}
	}
}

func look(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// impersonate puts a program into a directory which notes its arguments, a line
// for each time, and does what a script says. Heard returns the lines.
func impersonate(t *testing.T, dir, name, script string) (heard func() []string) {
	t.Helper()
	notes := filepath.Join(dir, name+".notes")
	text := fmt.Sprintf("#!/bin/sh\nprintf '%%s ' \"$@\" | tr '\\n' ' ' >> '%s'\necho >> '%[1]s'\n%s\n", notes, script)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return func() (lines []string) {
		text, err := os.ReadFile(notes)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return lines
	}
}

// followPage types what docs/self-hosting.md says under "With compose", where
// docker does nothing, and returns the credentials that a publisher then has.
func followPage(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/self-hosting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## With compose\n")
	section, _, _ = strings.Cut(section, "\n## ")
	typed := "set -e\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		typed += block[1]
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "selfhost"), os.DirFS("../selfhost")); err != nil {
		t.Fatal(err)
	}
	// What a file is named by has to be there.
	heard := impersonate(t, dir, "docker", `case $1 in compose) test -f compose.yaml -a -f .env ;; build) test -f "$3" -a -d "$6/selfhost" ;; esac`)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", typed+`echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"`)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "EDITOR=true"}
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, typed, &talk)
	}
	if want := []string{"compose up -d", "build -f Dockerfile -t publisher ..", "run --rm publisher version"}; !slices.Equal(heard(), want) {
		t.Errorf("the page has docker do %q", heard())
	}
	id, secret, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
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
	out, talk := untilEnd(t, cmd, syscall.SIGTERM)
	var said string
	if _, err := fmt.Fscanf(out, "signer lambda:signer?endpoint=%s\n", &said); err != nil {
		t.Fatalf("publisher %q said nothing: %v\n%s", args, err, talk)
	}
	return said
}
