package interop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

// goProgram is the file name of the built Go client; the suffix is for Windows and does no harm elsewhere.
const goProgram = "pull.exe"

// install returns the directory in the user's cache that holds the client made from the sources in the directory name
// beside this file, making it first if this version of the sources has not been installed yet. Of the processes that
// need it at once, one works and the others wait. Nothing half done is ever found there.
func install(name string, make func(src, dst string) error) (string, error) {
	src, err := sourceDir(name)
	if err != nil {
		return "", err
	}
	key, err := sourceKey(src)
	if err != nil {
		return "", fmt.Errorf("read the sources of %s: %w", name, err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dst := filepath.Join(cache, name+"-"+key)
	lock := flock.New(dst + ".lock")
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("lock %s: %w", dst, err)
	}
	defer lock.Close()
	if _, err := os.Stat(dst); err == nil {
		return dst, nil
	}
	if err := makeWhole(src, dst, make); err != nil {
		return "", fmt.Errorf("install the client %s: %w", name, err)
	}
	return dst, nil
}

// makeWhole calls make on a temporary directory and renames that to dst. The lock is held, so what a killed process left
// under the temporary name is nobody's.
func makeWhole(src, dst string, make func(src, dst string) error) error {
	tmp := dst + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	if err := make(src, tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return os.Rename(tmp, dst)
}

func cacheDir() (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the clients: %w", err)
	}
	dir := filepath.Join(user, "publisher-test")
	return dir, os.MkdirAll(dir, 0o755)
}

// sourceDir looks upwards from the working directory, which go test sets to the tested package. The sources cannot be
// embedded: one of them is a module of its own.
func sourceDir(name string) (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		src := filepath.Join(dir, "internal", "interop", name)
		if _, err := os.Stat(src); err == nil {
			return src, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no internal/interop/%s in or above %s: run the test from within the module", name, start)
		}
	}
}

// sourceKey names a version of the sources, and of the toolchain that builds them.
func sourceKey(src string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	entries, err := os.ReadDir(src)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			return "", fmt.Errorf("%s: unexpected %s", filepath.Join(src, e.Name()), e.Type())
		}
		data, err := os.ReadFile(filepath.Join(src, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", e.Name(), len(data), data)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

func buildGo(src, dst string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(dst, goProgram), ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return runTool(cmd)
}

// npmInstall installs exactly what package-lock.json names and runs none of the packages' own scripts. The engine check
// is off because tuf-js asks for Node.js 22 and works on 20.
func npmInstall(src, dst string) error {
	npm, err := lookNode("npm")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		return err
	}
	cmd := exec.Command(npm, "ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dst
	return runTool(cmd)
}

func runTool(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
