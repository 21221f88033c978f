package testserver

import (
	"bytes"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
)

const motoVersion = "5.2.1"

// Moto starts moto's server, which plays most of AWS: it keeps what it is told,
// runs no functions and checks no policies. It is that of the system, or else is
// installed into the user's cache directory once; where that cannot
// be, the test is skipped.
func Moto(t testing.TB) S3 {
	t.Helper()
	bin := motoServer(t)
	s := start(t, S3{}, func(addr string, s S3) *exec.Cmd {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		return exec.Command(bin, "-H", host, "-p", port)
	})
	// Functions are run elsewhere: moto would look for Docker.
	resp, err := http.Post(s.Endpoint+"/moto-api/config", "application/json", bytes.NewReader([]byte(`{"lambda": {"use_docker": false}}`)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("configure moto: %s", resp.Status)
	}
	return s
}

func motoServer(t testing.TB) string {
	t.Helper()
	if bin, err := exec.LookPath("moto_server"); err == nil {
		return bin
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("moto_server is not installed, nor is python3 to install it with; on Debian: apt-get install python3-venv")
	}
	bin, err := tryBuild("moto-"+motoVersion, func(out string) *exec.Cmd {
		venv := filepath.Join(filepath.Dir(out), "venv")
		return exec.Command("sh", "-ec", `"$1" -m venv --clear "$2"; "$2/bin/pip" install --quiet "moto[server]==$3"; ln -s "$2/bin/moto_server" "$4"`,
			"sh", python, venv, motoVersion, out)
	}, "moto_server")
	if err != nil {
		t.Skipf("moto_server is not installed, and cannot be; install it with pip install 'moto[server]==%s': %v", motoVersion, err)
	}
	return bin
}
