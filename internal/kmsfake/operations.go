package kmsfake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"strings"

	"github.com/google/uuid"
)

// maxMessage is the most that KMS encrypts or signs directly, in bytes.
const maxMessage = 4096

var operations = map[string]func(*key, request) (any, *fault){
	"GenerateDataKey": (*key).generateDataKey,
	"Encrypt":         (*key).encrypt,
	"Decrypt":         (*key).decrypt,
	"Sign":            (*key).sign,
	"GetPublicKey":    (*key).publicKey,
	"DescribeKey":     (*key).describe,
}

func (key *key) generateDataKey(q request) (any, *fault) {
	sizes := map[string]int{"AES_128": 16, "AES_256": 32}
	size := sizes[q.KeySpec]
	if (size == 0) == (q.NumberOfBytes == 0) || q.NumberOfBytes < 0 || q.NumberOfBytes > 1024 {
		return nil, &fault{"ValidationException", "specify one of KeySpec and NumberOfBytes"}
	}
	plain := make([]byte, size+q.NumberOfBytes)
	rand.Read(plain)
	blob, err := key.seal(plain, q.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return map[string]any{"KeyId": key.arn(), "Plaintext": plain, "CiphertextBlob": blob}, nil
}

func (key *key) encrypt(q request) (any, *fault) {
	if len(q.Plaintext) == 0 || len(q.Plaintext) > maxMessage {
		return nil, &fault{"ValidationException", "1 value validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"}
	}
	blob, err := key.seal(q.Plaintext, q.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return map[string]any{"KeyId": key.arn(), "CiphertextBlob": blob, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

func (key *key) decrypt(q request) (any, *fault) {
	plain, err := key.open(q.CiphertextBlob, q.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return map[string]any{"KeyId": key.arn(), "Plaintext": plain, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

// A blob is the ID of its key, in binary, then a nonce and what AES-GCM made,
// bound to the encryption context.

// blobKey is the ID of the key that a blob was made with. It must be the one
// that the request names, if it names one.
func blobKey(q request) (string, *fault) {
	id, err := uuid.FromBytes(q.CiphertextBlob[:min(16, len(q.CiphertextBlob))])
	if err != nil {
		return "", &fault{Type: "InvalidCiphertextException"}
	}
	if q.KeyID != "" && strings.TrimPrefix(q.KeyID, arnPrefix) != id.String() {
		return "", &fault{"IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."}
	}
	return id.String(), nil
}

func (key *key) seal(plain []byte, context map[string]string) ([]byte, *fault) {
	aead, err := key.aead()
	if err != nil {
		return nil, err
	}
	id := uuid.MustParse(key.id)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(append(bytes.Clone(id[:]), nonce...), nonce, plain, bound(context)), nil
}

func (key *key) open(blob []byte, context map[string]string) ([]byte, *fault) {
	aead, err := key.aead()
	if err != nil {
		return nil, err
	}
	if blob = blob[16:]; len(blob) < aead.NonceSize() {
		return nil, &fault{Type: "InvalidCiphertextException"}
	}
	plain, failed := aead.Open(nil, blob[:aead.NonceSize()], blob[aead.NonceSize():], bound(context))
	if failed != nil {
		return nil, &fault{Type: "InvalidCiphertextException"}
	}
	return plain, nil
}

func (key *key) aead() (cipher.AEAD, *fault) {
	if key.signing != nil {
		return nil, key.wrongUsage()
	}
	block, err := aes.NewCipher(key.material)
	if err != nil {
		panic(err) // 32 bytes always
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES always
	}
	return aead, nil
}

// bound is an encryption context as additional data.
func bound(context map[string]string) []byte {
	if len(context) == 0 {
		return nil
	}
	text, err := json.Marshal(context) // sorted
	if err != nil {
		panic(err) // strings only
	}
	return text
}

func (key *key) sign(q request) (any, *fault) {
	if key.signing == nil || q.SigningAlgorithm != "ECDSA_SHA_256" {
		return nil, key.wrongUsage()
	}
	digest := q.Message
	switch q.MessageType {
	case "DIGEST":
		if len(digest) != sha256.Size {
			return nil, &fault{"ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."}
		}
	case "", "RAW":
		if len(digest) == 0 || len(digest) > maxMessage {
			return nil, &fault{"ValidationException", "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096"}
		}
		sum := sha256.Sum256(digest)
		digest = sum[:]
	default:
		return nil, &fault{"ValidationException", "MessageType " + q.MessageType}
	}
	sig, err := ecdsa.SignASN1(rand.Reader, key.signing, digest)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return map[string]any{"KeyId": key.arn(), "Signature": sig, "SigningAlgorithm": q.SigningAlgorithm}, nil
}

func (key *key) publicKey(request) (any, *fault) {
	if key.signing == nil {
		return nil, &fault{"UnsupportedOperationException", "a symmetric key has no public key"}
	}
	der, err := x509.MarshalPKIXPublicKey(key.signing.Public())
	if err != nil {
		panic(err) // P-256 always
	}
	return map[string]any{
		"KeyId": key.arn(), "PublicKey": der, "KeySpec": key.spec(), "KeyUsage": key.usage(),
		"SigningAlgorithms": []string{"ECDSA_SHA_256"},
	}, nil
}

func (key *key) describe(request) (any, *fault) {
	state := "Enabled"
	if key.disabled {
		state = "Disabled"
	}
	return map[string]any{"KeyMetadata": map[string]any{
		"KeyId": key.id, "Arn": key.arn(), "KeySpec": key.spec(), "KeyUsage": key.usage(),
		"Enabled": !key.disabled, "KeyState": state, "CreationDate": key.made.Unix(),
	}}, nil
}

func (key *key) spec() string {
	if key.signing != nil {
		return "ECC_NIST_P256"
	}
	return "SYMMETRIC_DEFAULT"
}

func (key *key) usage() string {
	if key.signing != nil {
		return "SIGN_VERIFY"
	}
	return "ENCRYPT_DECRYPT"
}

func (key *key) wrongUsage() *fault {
	return &fault{"InvalidKeyUsageException", key.arn() + " key usage is " + key.usage() + ", its key spec " + key.spec() + "."}
}
