// Package kmsfake is a small AWS KMS for tests: the operations that the online
// signer uses, over KMS's own protocol, refusing what KMS refuses. Keys live in
// memory.
package kmsfake

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

const arnPrefix = "arn:aws:kms:us-east-1:123456789012:key/"

// A KMS is a running fake.
type KMS struct {
	Endpoint string

	mu       sync.Mutex
	keys     map[string]*key // by ID
	calls    []Call
	throttle int
	denied   []string
}

// A Call is one request, with what mattered about it.
type Call struct {
	Operation string
	KeyID     string // as asked for
	Context   map[string]string
	Refused   string // the error's type, empty if it was answered
}

type key struct {
	id       string
	material []byte            // of a symmetric key
	signing  *ecdsa.PrivateKey // of a signing key, else nil
	disabled bool
	made     time.Time
}

// Start starts a KMS without keys for the time of the test.
func Start(t testing.TB) *KMS {
	k := &KMS{keys: map[string]*key{}}
	server := httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(server.Close)
	k.Endpoint = server.URL
	return k
}

// NewSymmetric makes a key for data (SYMMETRIC_DEFAULT) and returns its ARN.
func (k *KMS) NewSymmetric() string {
	material := make([]byte, 32)
	rand.Read(material)
	return k.add(&key{material: material})
}

// NewP256 makes a key for signatures (ECC_NIST_P256) and returns its ARN.
func (k *KMS) NewP256() string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return k.add(&key{signing: private})
}

func (k *KMS) add(new *key) (arn string) {
	new.id, new.made = uuid.NewString(), time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[new.id] = new
	return arnPrefix + new.id
}

// Disable disables a key, or enables it again.
func (k *KMS) Disable(arn string, disabled bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[strings.TrimPrefix(arn, arnPrefix)].disabled = disabled
}

// Throttle refuses the next n requests with ThrottlingException.
func (k *KMS) Throttle(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.throttle = n
}

// Deny refuses these operations from now on, and no others, as if a policy did
// not allow them.
func (k *KMS) Deny(operations ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.denied = operations
}

// Calls returns the requests since the last Reset.
func (k *KMS) Calls() []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls)
}

// Count returns the number of requests since the last Reset that were answered,
// by operation.
func (k *KMS) Count() map[string]int {
	n := map[string]int{}
	for _, c := range k.Calls() {
		if c.Refused == "" {
			n[c.Operation]++
		}
	}
	return n
}

// Reset forgets all requests.
func (k *KMS) Reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = nil
}

// A fault is an error in KMS's form.
type fault struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.Type + ": " + f.Message }

func (k *KMS) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := k.answer(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(err)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

// answer does one request at a time.
func (k *KMS) answer(r *http.Request) (any, *fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, &fault{"UnknownOperationException", "this is no request of KMS's"}
	}
	q, err := k.read(r)
	var answer any
	if err == nil {
		answer, err = k.do(operation, q)
	}
	call := Call{Operation: operation, KeyID: q.KeyID, Context: q.EncryptionContext}
	if err != nil {
		call.Refused = err.Type
	}
	k.calls = append(k.calls, call)
	return answer, err
}

// A request is that of any operation here.
type request struct {
	KeyID             string
	EncryptionContext map[string]string
	Plaintext         []byte
	CiphertextBlob    []byte
	KeySpec           string
	NumberOfBytes     int
	Message           []byte
	MessageType       string
	SigningAlgorithm  string
}

func (k *KMS) read(r *http.Request) (request, *fault) {
	var q request
	if !strings.Contains(r.Header.Get("Authorization"), "/kms/aws4_request") {
		return q, &fault{"MissingAuthenticationTokenException", "the request is not signed for KMS"}
	}
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	dec.DisallowUnknownFields() // what this fake cannot do must not pass for done
	if err := dec.Decode(&q); err != nil {
		return q, &fault{"SerializationException", err.Error()}
	}
	return q, nil
}

func (k *KMS) do(operation string, q request) (any, *fault) {
	if k.throttle > 0 {
		k.throttle--
		return nil, &fault{"ThrottlingException", "Rate exceeded"}
	}
	if slices.Contains(k.denied, operation) {
		return nil, &fault{"AccessDeniedException", "User is not authorized to perform: kms:" + operation}
	}
	do, ok := operations[operation]
	if !ok {
		return nil, &fault{"UnknownOperationException", operation}
	}
	if operation == "Decrypt" {
		id, err := blobKey(q)
		if err != nil {
			return nil, err
		}
		q.KeyID = id
	}
	found, err := k.find(q.KeyID)
	if err != nil {
		return nil, err
	}
	if found.disabled && operation != "DescribeKey" {
		return nil, &fault{"DisabledException", found.arn() + " is disabled."}
	}
	return do(found, q)
}

// find returns a key by its ID or its ARN.
func (k *KMS) find(name string) (*key, *fault) {
	if found, ok := k.keys[strings.TrimPrefix(name, arnPrefix)]; ok {
		return found, nil
	}
	return nil, &fault{"NotFoundException", "Key '" + cmp.Or(name, "(none)") + "' does not exist"}
}

func (key *key) arn() string { return arnPrefix + key.id }
