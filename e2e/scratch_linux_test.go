package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestScratch: the signer runs where there is nothing but itself and its stores,
// as the user of the image, who has no name and no home.
func TestScratch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root directory")
	}
	const user = 65532
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "publisher"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "passphrase"), []byte("a long passphrase\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"store", "inbox"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"passphrase", "store", "inbox"} {
		if err := os.Chown(filepath.Join(root, name), user, user); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/publisher", "signer", "--store", "file:///store", "--inbox", "file:///inbox",
		"--keys", "sealed:passphrase-file=/passphrase", "--create", "example.com", "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Env = "/", []string{"PUBLISHER_TRUST_DIR=/trust"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	endpoint := ""
	if _, err := fmt.Fscanf(out, "signer lambda:signer?endpoint=%s\n", &endpoint); err != nil {
		t.Errorf("it said nothing: %v", err)
	} else if _, resp := get(t, endpoint+"/health"); resp.StatusCode != 200 {
		t.Errorf("it is not well: %s", resp.Status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &talk)
	}
}
