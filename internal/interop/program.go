package interop

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// An answer is what a client that runs as a program prints, once, on stdout. It exits 0 also when it refused; any other
// end is a crash.
type answer struct {
	Refused string            `json:"refused"` // the client's own words
	SHA256  map[string]string `json:"sha256"`  // target name to hex
}

var goTUF07 = sync.OnceValues(func() (fetchFunc, error) {
	dir, err := install("gotuf07", buildGo)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, j job) (map[string][]byte, error) {
		return run(exec.CommandContext(ctx, filepath.Join(dir, goProgram)), j)
	}, nil
})

// nodeScript makes the fetchFunc of a client by the name under which pull.mjs knows it.
var nodeScript = sync.OnceValues(func() (func(client string) fetchFunc, error) {
	node, err := lookNode("node")
	if err != nil {
		return nil, err
	}
	dir, err := install("tufjs", npmInstall)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "pull.mjs")
	return func(client string) fetchFunc {
		return func(ctx context.Context, j job) (map[string][]byte, error) {
			return runNode(exec.CommandContext(ctx, node, script, client), j)
		}
	}, nil
})

func lookNode(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("the JavaScript clients need Node.js 20 or later with npm: install the packages nodejs and npm, "+
			"or set PUBLISHER_TEST_NO_NODE=1 to test without them: %w", err)
	}
	return path, nil
}

// runNode passes the CA the only way Node.js has for its built-in fetch: a file named in the environment.
func runNode(cmd *exec.Cmd, j job) (map[string][]byte, error) {
	if j.CA == nil {
		return run(cmd, j)
	}
	file, err := os.CreateTemp("", "interop-ca-*.pem")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(j.CA)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+file.Name())
	return run(cmd, j)
}

func run(cmd *exec.Cmd, j job) (map[string][]byte, error) {
	in, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &talk
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w\n%s", filepath.Base(cmd.Path), err, &talk)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w\n%s%s", filepath.Base(cmd.Path), err, &out, &talk)
	}
	if a.Refused != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, strings.TrimSpace(a.Refused))
	}
	return decodeSums(a.SHA256)
}

func decodeSums(sums map[string]string) (map[string][]byte, error) {
	got := make(map[string][]byte)
	for name, sum := range sums {
		raw, err := hex.DecodeString(sum)
		if err != nil {
			return nil, fmt.Errorf("read the answer: hash of %q: %w", name, err)
		}
		got[name] = raw
	}
	return got, nil
}
