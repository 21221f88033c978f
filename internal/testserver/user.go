package testserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// NewUser makes a user of versitygw, who may do what the policies of buckets
// allow them and nothing else.
func (s S3) NewUser(t testing.TB, name string) S3 {
	t.Helper()
	user := s
	user.AccessKey, user.SecretKey = name, name+"-has-no-secret"
	body, err := xml.Marshal(struct {
		XMLName              xml.Name `xml:"Account"`
		Access, Secret, Role string
	}{Access: user.AccessKey, Secret: user.SecretKey, Role: "user"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.Endpoint+"/create-user", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(body)
	sum := hex.EncodeToString(hash[:])
	req.Header.Set("X-Amz-Content-Sha256", sum)
	if err := v4.NewSigner().SignHTTP(t.Context(), s.credentials(), req, sum, "s3", s.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		told, _ := io.ReadAll(resp.Body)
		t.Fatalf("make the user %s: %s: %s", name, resp.Status, told)
	}
	return user
}

// NewMinIOUser makes a user of MinIO, who may do what a policy allows and
// nothing else.
func (s S3) NewMinIOUser(t testing.TB, name, policy string) S3 {
	t.Helper()
	user := s
	user.AccessKey, user.SecretKey = name, name+"-has-no-secret"
	cmd := exec.CommandContext(t.Context(), "go", "run", "./user", s.Host(), user.AccessKey, user.SecretKey)
	cmd.Dir = filepath.Join(moduleRoot(t), "tools", "minio")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey)
	cmd.Stdin = strings.NewReader(policy)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the user %s: %v\n%s", name, err, out)
	}
	return user
}
