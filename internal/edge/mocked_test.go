package edge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMocked: whoever runs the tests of the module with credentials of AWS makes
// nothing there: what is not mocked only plans, without credentials of theirs.
func TestMocked(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../terraform/tests/*.tftest.hcl", "../../terraform/*/*/tests/*.tftest.hcl"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	plain := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := "\n" + string(data)
		if strings.Contains(text, "\nmock_provider \"aws\" {") {
			continue
		}
		plain++
		// Terraform applies if it is not told.
		if runs, plans := strings.Count(text, "\nrun \""), strings.Count(text, "\n  command = plan\n"); runs == 0 || plans != runs {
			t.Errorf("%s is not mocked, and plans in %d of %d runs", file, plans, runs)
		}
		modules := strings.Count(text, "\n  module {\n    source = \"./modules/policies\"\n") // which has no provider
		if modules != strings.Count(text, "\nrun \"") && !strings.Contains(text, "\n  access_key                  = \"none\"\n") {
			t.Errorf("%s takes credentials of whoever runs it", file)
		}
	}
	if plain == 0 {
		t.Error("no file runs with the provider itself")
	}
}
