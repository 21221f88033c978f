package kmsfake

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

func client(k *KMS, attempts int) *kms.Client {
	return kms.New(kms.Options{
		BaseEndpoint: &k.Endpoint,
		Region:       "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
		RetryMaxAttempts: attempts,
	})
}

// refusedAs is the type of a fault, as the SDK sees it.
func refusedAs(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// flipped is a copy with another last byte.
func flipped(blob []byte) []byte {
	blob = bytes.Clone(blob)
	blob[len(blob)-1] ^= 1
	return blob
}

func TestDataKeys(t *testing.T) {
	k := Start(t)
	c, arn, other := client(k, 1), k.NewSymmetric(), k.NewSymmetric()
	scripts := map[string]string{"publisher:collection": "example.com/scripts"}
	made, err := c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: scripts})
	if err != nil || len(made.Plaintext) != 32 || aws.ToString(made.KeyId) != arn {
		t.Fatalf("GenerateDataKey: %+v, %v", made, err)
	}
	sealed, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("secret"), EncryptionContext: scripts})
	if err != nil || bytes.Contains(sealed.CiphertextBlob, []byte("secret")) {
		t.Fatalf("Encrypt: %+v, %v", sealed, err)
	}
	for _, tt := range []struct {
		name    string
		blob    []byte
		key     *string
		context map[string]string
		want    string
		refused string
	}{
		{"data key", made.CiphertextBlob, &arn, scripts, string(made.Plaintext), ""},
		{"data key, no key named", made.CiphertextBlob, nil, scripts, string(made.Plaintext), ""},
		{"secret", sealed.CiphertextBlob, &arn, scripts, "secret", ""},
		{"no context", sealed.CiphertextBlob, &arn, nil, "", "InvalidCiphertextException"},
		{"another context", sealed.CiphertextBlob, &arn, map[string]string{"publisher:collection": "example.com/other"}, "", "InvalidCiphertextException"},
		{"another key", sealed.CiphertextBlob, &other, scripts, "", "IncorrectKeyException"},
		{"changed", flipped(sealed.CiphertextBlob), &arn, scripts, "", "InvalidCiphertextException"},
		{"truncated", sealed.CiphertextBlob[:20], &arn, scripts, "", "InvalidCiphertextException"},
		{"three bytes", []byte("abc"), &arn, scripts, "", "InvalidCiphertextException"},
	} {
		out, err := c.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: tt.blob, KeyId: tt.key, EncryptionContext: tt.context})
		if got := refusedAs(err); got != tt.refused || (err == nil) != (tt.refused == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refused)
		} else if err == nil && string(out.Plaintext) != tt.want {
			t.Errorf("%s: got %q", tt.name, out.Plaintext)
		}
	}
}

func TestSign(t *testing.T) {
	k := Start(t)
	c, arn := client(k, 1), k.NewP256()
	out, err := c.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	if err != nil || out.KeySpec != types.KeySpecEccNistP256 || out.KeyUsage != types.KeyUsageTypeSignVerify {
		t.Fatalf("GetPublicKey: %+v, %v", out, err)
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("x"), 4096)
	sum := sha256.Sum256(long)
	for _, tt := range []struct {
		name    string
		message []byte
		kind    types.MessageType
		alg     types.SigningAlgorithmSpec
		refused string
	}{
		{"digest", sum[:], types.MessageTypeDigest, types.SigningAlgorithmSpecEcdsaSha256, ""},
		{"raw", long, types.MessageTypeRaw, types.SigningAlgorithmSpecEcdsaSha256, ""},
		{"raw, too long", append(long, 'x'), types.MessageTypeRaw, types.SigningAlgorithmSpecEcdsaSha256, "ValidationException"},
		{"digest of 31 bytes", sum[1:], types.MessageTypeDigest, types.SigningAlgorithmSpecEcdsaSha256, "ValidationException"},
		{"digest of 4096 bytes", long, types.MessageTypeDigest, types.SigningAlgorithmSpecEcdsaSha256, "ValidationException"},
		{"another algorithm", sum[:], types.MessageTypeDigest, types.SigningAlgorithmSpecEcdsaSha384, "InvalidKeyUsageException"},
	} {
		signed, err := c.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: tt.message, MessageType: tt.kind, SigningAlgorithm: tt.alg})
		if got := refusedAs(err); got != tt.refused || (err == nil) != (tt.refused == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refused)
		} else if err == nil && !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], signed.Signature) {
			t.Errorf("%s: the signature does not verify", tt.name)
		}
	}
}

// TestUsage: each kind of key does its own work only, and an unknown one none.
func TestUsage(t *testing.T) {
	k := Start(t)
	c, symmetric, p256, unknown := client(k, 1), k.NewSymmetric(), k.NewP256(), arnPrefix+"unknown"
	sum := make([]byte, sha256.Size)
	sign := func(arn string) error {
		_, err := c.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: sum, MessageType: types.MessageTypeDigest, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
		return err
	}
	encrypt := func(arn string) error {
		_, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &arn, Plaintext: sum})
		return err
	}
	public := func(arn string) error {
		_, err := c.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
		return err
	}
	for _, tt := range []struct {
		name string
		do   func(string) error
		arn  string
		want string
	}{
		{"sign", sign, symmetric, "InvalidKeyUsageException"},
		{"encrypt", encrypt, p256, "InvalidKeyUsageException"},
		{"public key", public, symmetric, "UnsupportedOperationException"},
		{"sign", sign, unknown, "NotFoundException"},
		{"encrypt", encrypt, unknown, "NotFoundException"},
	} {
		if got := refusedAs(tt.do(tt.arn)); got != tt.want {
			t.Errorf("%s with %s: %q, want %q", tt.name, tt.arn, got, tt.want)
		}
	}
	large := bytes.Repeat([]byte("x"), 4097)
	if _, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &symmetric, Plaintext: large}); refusedAs(err) != "ValidationException" {
		t.Errorf("4097 bytes: %v", err)
	}
}

// TestSwitches: keys are disabled and enabled, requests throttled and denied,
// and all of it is remembered.
func TestSwitches(t *testing.T) {
	k := Start(t)
	c, arn := client(k, 3), k.NewSymmetric()
	generate := func() string {
		_, err := c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: map[string]string{"a": "b"}})
		return refusedAs(err)
	}
	state := func() types.KeyState {
		out, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &arn})
		if err != nil {
			t.Fatal(err)
		}
		return out.KeyMetadata.KeyState
	}
	k.Disable(arn, true)
	if got := generate(); got != "DisabledException" || state() != types.KeyStateDisabled {
		t.Errorf("disabled: %q", got)
	}
	k.Disable(arn, false)
	k.Reset()
	k.Throttle(2)
	if got := generate(); got != "" || state() != types.KeyStateEnabled {
		t.Errorf("throttled twice, tried three times: %q", got)
	}
	k.Deny("GenerateDataKey")
	if got := generate(); got != "AccessDeniedException" {
		t.Errorf("denied: %q", got)
	}
	call := func(refused string) Call {
		return Call{"GenerateDataKey", arn, map[string]string{"a": "b"}, refused}
	}
	want := []Call{call("ThrottlingException"), call("ThrottlingException"), call(""), {"DescribeKey", arn, nil, ""}, call("AccessDeniedException")}
	if diff := cmp.Diff(want, k.Calls()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"GenerateDataKey": 1, "DescribeKey": 1}, k.Count()); diff != "" {
		t.Error(diff)
	}
}

// TestForeign: what is not a signed request of a member that the fake knows is
// refused.
func TestForeign(t *testing.T) {
	k := Start(t)
	c, arn := client(k, 1), k.NewSymmetric()
	_, err := c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &arn, KeySpec: types.DataKeySpecAes256, DryRun: aws.Bool(true)})
	if got := refusedAs(err); got != "SerializationException" {
		t.Errorf("DryRun: %q", got)
	}
	if _, err := c.ListKeys(t.Context(), &kms.ListKeysInput{}); refusedAs(err) != "UnknownOperationException" {
		t.Errorf("ListKeys: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, k.Endpoint, strings.NewReader(`{"KeyId": "`+arn+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "TrentService.DescribeKey")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || k.Calls()[len(k.Calls())-1].Refused != "MissingAuthenticationTokenException" {
		t.Errorf("unsigned: %s, %+v", resp.Status, k.Calls())
	}
}
