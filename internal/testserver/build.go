package testserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
)

// build returns the path of a program in the cache directory named after its
// version, which command builds if it is not there. Test packages run at the
// same time; a file lock has one of them build and the others wait.
func build(t testing.TB, version string, command func(out string) *exec.Cmd, name string) string {
	t.Helper()
	bin, err := tryBuild(version, command, name)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func tryBuild(version string, command func(out string) *exec.Cmd, name string) (bin string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "publisher-test", "bin", version)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	bin = filepath.Join(dir, name)
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(bin); err == nil { // the go command moves a whole file into place
		return bin, nil
	}
	cmd := command(bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return bin, nil
}

func moduleRoot(t testing.TB) string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// A lockedBuffer takes the output of a process.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
