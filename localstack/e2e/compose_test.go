package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCompose: the image is pinned and can be swapped, is reached from this
// machine alone, and has mounted what the hook runs and the Makefile builds.
func TestCompose(t *testing.T) {
	text := map[string]string{}
	for _, name := range []string{"compose.yaml", "ready.d/10-provision.sh", "../Makefile"} {
		data, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(data)
	}
	var file struct {
		Services map[string]struct {
			Image          string
			Ports, Volumes []string
		}
	}
	if err := yaml.Unmarshal([]byte(text["compose.yaml"]), &file); err != nil {
		t.Fatal(err)
	}
	s := file.Services["localstack"]
	if s.Image != "${PUBLISHER_EMULATOR_IMAGE:-localstack/localstack:4.14.0}" || !slices.Equal(s.Ports, []string{"127.0.0.1:4566:4566"}) {
		t.Errorf("%+v", s)
	}
	if !slices.Contains(s.Volumes, "./ready.d:/etc/localstack/init/ready.d:ro") || !slices.Contains(s.Volumes, "../dist/localstack:/opt/publisher:ro") {
		t.Errorf("mounted is %q", s.Volumes)
	}
	run := regexp.MustCompile(`/opt/publisher/([a-z0-9.]+)`).FindAllStringSubmatch(text["ready.d/10-provision.sh"], -1)
	if len(run) != 2 {
		t.Errorf("the hook uses %q", run)
	}
	for _, m := range run {
		if !strings.Contains(text["../Makefile"], " dist/localstack/"+m[1]) {
			t.Errorf("the Makefile does not build dist/localstack/%s", m[1])
		}
	}
	if info, err := os.Stat("../ready.d/10-provision.sh"); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("LocalStack runs no hook that is not executable: %v", err)
	}
}
