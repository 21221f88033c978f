package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"

	"publisher/internal/interop"
	"publisher/internal/lambdaemu"
	"publisher/internal/testserver"
)

// TestMoto runs the program against moto, which keeps the buckets, the key and
// what the functions are configured to be, and against the runtime's emulator,
// which runs the function of this repository as it was configured there. Pulled
// is by every client of other people.
func TestMoto(t *testing.T) {
	server := testserver.Moto(t)
	fns, invoke := startFunctions(t, server)
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(t.TempDir(), "signer.zip")
	if out, err := exec.Command("go", "run", "publisher/internal/zipone", bin, zip).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	var said strings.Builder
	err = run(t.Context(), []string{
		"--provision", "--zip", zip, "--endpoint", server.Endpoint, "--function-endpoint", server.Endpoint, "--lambda-endpoint", invoke,
	}, io.MultiWriter(os.Stdout, &said), everybody(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"proven 10 of 10:", "published 3 times through the function publisher-publish",
		"go-tuf-v2.4.2, go-tuf-v0.7.0, ", "tuf-js-", "the event of the schedule renewed",
		"committed on an event of publisher-inbox", "publisher doctor finds no error",
		"not proven here: the policies", "not proven here: CloudFront", "not proven here: that EventBridge Scheduler wakes",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &said)
		}
	}
	for name, e := range fns.running {
		for _, inv := range e.Invocations() {
			if inv.Error != "" {
				t.Errorf("%s failed: %+v", name, inv)
			}
		}
	}
	if len(fns.running) != 2 {
		t.Errorf("%d functions were invoked, want 2", len(fns.running))
	}
}

// everybody is the clients of internal/interop.
func everybody(t *testing.T) puller {
	clients := interop.Clients(t)
	return func(ctx context.Context, p pull) ([]string, error) {
		job := interop.Pull{MetadataURL: p.URL + "/metadata", TargetsURL: p.URL + "/targets", Root: p.Root, Dir: p.Dir, Targets: map[string][]byte{}}
		for name, data := range p.Targets {
			sum := sha256.Sum256(data)
			job.Targets[name] = sum[:]
		}
		var who []string
		for _, c := range clients {
			if err := c.Pull(ctx, job); err != nil {
				return nil, err
			}
			who = append(who, c.Name())
		}
		return who, nil
	}
}

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "publisher-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(buildDir)
		return m.Run()
	}())
}

// bootstrap builds the function, once for all tests.
var bootstrap = sync.OnceValues(func() (string, error) { return lambdaemu.Build(buildDir, "publisher/lambda/bootstrap") })

// A deployment is what the program provisions at moto.
type deployment struct {
	cloud     *cloud
	functions *functions
	proxy     *testserver.Proxy // before moto
}

func deploy(t *testing.T) deployment {
	t.Helper()
	server, proxy := testserver.Moto(t).Through(t)
	fns, invoke := startFunctions(t, server)
	o, err := parse([]string{
		"--provision", "--zip", fns.bootstrap, "--endpoint", server.Endpoint, "--function-endpoint", server.Endpoint, "--lambda-endpoint", invoke,
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.provision(t.Context(), &proof{}); err != nil {
		t.Fatal(err)
	}
	return deployment{c, fns, proxy}
}

// startFunctions returns the URL of an Invoke API for what is configured at a
// server.
func startFunctions(t *testing.T, server testserver.S3) (fns *functions, invoke string) {
	t.Helper()
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	fns = &functions{t: t, bootstrap: bin, endpoint: server.Endpoint, running: map[string]*lambdaemu.Emulator{}}
	web := httptest.NewServer(fns)
	t.Cleanup(web.Close)
	return fns, web.URL
}

// functions is Lambda's Invoke API in front of functions that start when they
// are first asked for, as they are configured at an endpoint.
type functions struct {
	t                   *testing.T
	bootstrap, endpoint string

	mu      sync.Mutex
	running map[string]*lambdaemu.Emulator
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.URL.Path, "/functions/")
	name, _, _ := strings.Cut(rest, "/")
	e, err := f.function(r.Context(), name)
	if err != nil {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	to, err := url.Parse(e.Endpoint)
	if err != nil {
		f.t.Error(err)
		return
	}
	httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
}

func (f *functions) function(ctx context.Context, name string) (*lambdaemu.Emulator, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.running[name]; e != nil {
		return e, nil
	}
	c, err := connect(ctx, options{endpoint: f.endpoint, region: "us-east-1"})
	if err != nil {
		return nil, err
	}
	got, err := c.maker.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return nil, err
	}
	env := []string{"AWS_ACCESS_KEY_ID=role", "AWS_SECRET_ACCESS_KEY=role"}
	for name, value := range got.Environment.Variables {
		env = append(env, name+"="+value)
	}
	f.running[name] = lambdaemu.Start(f.t, lambdaemu.Function{
		Name: name, Bootstrap: f.bootstrap, Env: env, Concurrency: 2, Retries: -1,
		Memory: int(aws.ToInt32(got.MemorySize)), Timeout: time.Duration(aws.ToInt32(got.Timeout)) * time.Second,
	})
	return f.running[name], nil
}

// TestHook runs the hook of LocalStack's image, twice: what is there already
// stays.
func TestHook(t *testing.T) {
	server := testserver.Moto(t)
	dir := t.TempDir()
	bin, zip := filepath.Join(dir, "e2e"), filepath.Join(dir, "signer.zip")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(zip, []byte("PK\x05\x06"+strings.Repeat("\x00", 18)), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "../ready.d/10-provision.sh")
		cmd.Env = append(os.Environ(), "PUBLISHER_E2E="+bin, "PUBLISHER_ZIP="+zip, "PUBLISHER_ENDPOINT="+server.Endpoint, "PUBLISHER_LAMBDA_ARCH=arm64")
		out, err := cmd.CombinedOutput()
		if want := "proven 2 of 2: publisher-publish and publisher-refresh are there"; err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v, it does not say %q:\n%s", err, want, out)
		}
	}
	c, err := connect(t.Context(), options{endpoint: server.Endpoint, region: "us-east-1", name: "publisher"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.kms.ListKeys(t.Context(), nil)
	if err != nil || len(keys.Keys) != 1 {
		t.Errorf("there are %d keys, want 1: %v", len(keys.Keys), err)
	}
	name := c.publishing()
	got, err := c.maker.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if to := got.Environment.Variables["AWS_ENDPOINT_URL"]; to != "https://localhost.localstack.cloud:4566" || got.Architectures[0] != "arm64" {
		t.Errorf("the function is %v and asks %s", got.Architectures, to)
	}
}

// TestAsTerraform: the functions are configured, and woken, as the module does.
func TestAsTerraform(t *testing.T) {
	signer, schedule := terraform(t, "signer.tf"), terraform(t, "schedule.tf")
	c := &cloud{options: options{public: "p", inbox: "i", create: "example.com/"}}
	here := slices.Sorted(maps.Keys(c.environment("publish", "key")))
	there := slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`PUBLISHER_[A-Z]+`).FindAllString(signer, -1))))
	there = slices.DeleteFunc(there, func(name string) bool { return name == "PUBLISHER_GENESIS" || name == "PUBLISHER_METRICS" }) // not by default
	if diff := cmp.Diff(there, here); diff != "" {
		t.Errorf("the environment differs from that of the module (-module +here):\n%s", diff)
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(scheduled), &event); err != nil {
		t.Fatal(err)
	}
	input := fmt.Sprintf(`jsonencode({ source = %q, "detail-type" = %q, detail = {} })`, event["source"], event["detail-type"])
	for text, in := range map[string]string{
		input: schedule, `runtime                        = "provided.al2023"`: signer, `filter_suffix       = ".json"`: signer,
		`events              = ["s3:ObjectCreated:*"]`: signer, `statement_id   = "InboxTells"`: signer,
	} {
		if !strings.Contains(in, text) {
			t.Errorf("the module has no %s", text)
		}
	}
}

func terraform(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "terraform", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOptions: what is missing or does not go together is refused, by name.
func TestOptions(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"", "--url is missing"},
		{"--provision", "--provision needs --endpoint"},
		{"--endpoint http://127.0.0.1:1 --zip x", "--zip goes with --provision"},
		{"--endpoint http://127.0.0.1:1 prove", `unknown argument "prove"`},
		{"--endpoint", "needs an argument"},
	} {
		if _, err := parse(strings.Fields(tt.args), io.Discard); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.says)
		}
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	o, err := parse([]string{"--endpoint", "http://127.0.0.1:1/", "--name", "x"}, io.Discard)
	got := map[string]string{"public": o.public, "inbox": o.inbox, "url": o.url, "lambda": o.lambdaEndpoint}
	want := map[string]string{"public": "x-public", "inbox": "x-inbox", "url": "http://127.0.0.1:1/x-public", "lambda": "http://127.0.0.1:1/"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}
