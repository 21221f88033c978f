package testserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/credentials"
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

// Assume makes credentials of MinIO that may do what a policy allows and
// nothing else.
func (s S3) Assume(t testing.TB, policy string) S3 {
	t.Helper()
	assumed, err := credentials.NewSTSAssumeRole(s.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, Location: s.Region, Policy: policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := assumed.GetWithContext(nil)
	if err != nil {
		t.Fatalf("assume a role: %v", err)
	}
	s.AccessKey, s.SecretKey, s.Token = got.AccessKeyID, got.SecretAccessKey, got.SessionToken
	return s
}
