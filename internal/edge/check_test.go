package edge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck: what tools/check-terraform cannot check is said, and passes only
// where it is not expected.
func TestCheck(t *testing.T) {
	const (
		noRegistry = `case "$*" in *init*) echo "dial tcp: i/o timeout"; exit 1;; esac`
		badInit    = `case "$*" in *init*) echo "no such module"; exit 1;; esac`
		badFormat  = `case "$*" in *fmt*modules/policies) exit 3;; esac`
		untidyTest = `case "$*" in *fmt*complete/tests) exit 3;; esac`
		invalid    = `case "$*" in *validate*) exit 1;; esac`
		badTest    = `case "$*" in *" test "*) exit 1;; esac`
		here, hub  = "", "GITHUB_ACTIONS=true"
	)
	for _, tt := range []struct {
		name, terraform, where string
		ok                     bool
		says                   string
	}{
		{"nothing", "", here, true, "the program is missing"},
		{"nothing on GitHub", "", hub, false, "the program is missing"},
		{"nothing, and a way to run it", "", "TERRAFORM_CHECK=terraform", false, "the program is missing"},
		{"all is well", "true", here, true, "-chdir=./terraform test"},
		{"all is well on GitHub", "true", hub, true, "-chdir=./terraform/examples/complete test"},
		{"all is well, another way", "true", "TERRAFORM_CHECK=terraform", true, "\nterraform ./terraform test"},
		{"no registry", noRegistry, here, true, "cannot be reached"},
		{"no registry on GitHub", noRegistry, hub, false, "cannot be reached"},
		{"no registry, another way", noRegistry, "TERRAFORM_CHECK=terraform", false, "cannot be reached"},
		{"providers are wrong", badInit, here, false, "no such module"},
		{"format", badFormat, here, false, ""},
		{"format of tests", untidyTest, here, false, ""},
		{"validity", invalid, here, false, ""},
		{"tests", badTest, here, false, ""},
	} {
		said, err := check(t, tt.terraform, tt.where)
		if (err == nil) != tt.ok || !strings.Contains(said, tt.says) {
			t.Errorf("%s: %v, want ok %t and %q:\n%s", tt.name, err, tt.ok, tt.says, said)
		}
		if linted := strings.Contains(said, "go tool -modfile=tools/tflint/go.mod tflint"); !linted {
			t.Errorf("%s: tflint does not run:\n%s", tt.name, said)
		}
	}
}

// check runs the script where terraform is a program that tells its arguments and
// does as it is told, or is missing; go only tells its arguments.
func check(t *testing.T, terraform, where string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"bash", "dirname", "find", "grep", "rm", "sed", "sort"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip("there is no shell to run it with: ", err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	script(t, filepath.Join(bin, "go"), "true")
	if terraform != "" {
		script(t, filepath.Join(bin, "terraform"), terraform)
	}
	const file = "../../tools/check-terraform"
	if _, err := os.Stat(file); err != nil { // which also tells go test that a change counts
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "bash"), file)
	cmd.Env = []string{"PATH=" + bin, where}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func script(t *testing.T, file, does string) {
	t.Helper()
	text := "#!" + filepath.Join(filepath.Dir(file), "bash") + "\necho \"${0##*/} $*\"\n" + does + "\n"
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
