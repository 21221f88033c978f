package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A step is one of a job, or of an action.
type step struct {
	Uses string
	With map[string]string
}

// foreign is an action of another repository at one commit, and the version that
// the commit is.
var foreign = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestPinned: whoever moves a tag of an action moves nothing here. Release tools
// that an action fetches are of one version as well.
func TestPinned(t *testing.T) {
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: *(.*)$`)
	for _, name := range workflows(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := uses.FindAllStringSubmatch(string(text), -1)
		if steps := usedBy(t, text); len(lines) == 0 || len(lines) != steps {
			t.Errorf("%s uses %d actions, of which %d can be read line by line", name, steps, len(lines))
		}
		for _, line := range lines {
			if !strings.HasPrefix(line[1], "./") && !foreign.MatchString(line[1]) {
				t.Errorf("%s: %s is no commit with its version behind it", name, line[1])
			}
		}
	}
}

// workflows are the files that say what runs on GitHub.
func workflows(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"workflows/*", "actions/*/action.y*ml"} {
		names, err := filepath.Glob(filepath.Join(root, ".github", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("there is no .github/%s: %v", pattern, err)
		}
		all = append(all, names...)
	}
	return all
}

// usedBy returns how many actions a workflow or an action uses, and looks at the
// versions of what they fetch.
func usedBy(t *testing.T, text []byte) (n int) {
	t.Helper()
	var file struct {
		Jobs map[string]struct {
			Uses  string
			Steps []step
		}
		Runs struct{ Steps []step }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	steps := file.Runs.Steps
	for _, job := range file.Jobs {
		steps = append(append(steps, step{Uses: job.Uses}), job.Steps...)
	}
	exact := regexp.MustCompile(`^v?\d+\.\d+\.\d+$`)
	for _, s := range steps {
		if s.Uses != "" {
			n++
		}
		for action, input := range map[string]string{"goreleaser/goreleaser-action@": "version", "hashicorp/setup-terraform@": "terraform_version"} {
			if strings.HasPrefix(s.Uses, action) && !exact.MatchString(s.With[input]) {
				t.Errorf("%s fetches version %q, which is not one version", s.Uses, s.With[input])
			}
		}
	}
	return n
}
