package s3api

import (
	"fmt"
	"io/fs"

	"publisher/storage"
)

// Response is what a server said instead of doing what it was asked.
type Response struct {
	Status  int    // of HTTP
	Code    string // of S3; empty after a HEAD
	Message string
}

// explain turns an SDK's error into one of the contract. permission is what the
// request needed, on key or, if that is empty, on the bucket.
func (s *store) explain(err error, permission, key string) error {
	r, ok := s.api.Explain(err)
	if !ok { // no answer, or none that we know
		return err
	}
	switch {
	case r.Code == "NoSuchBucket":
		return s.noStore()
	case r.Code == "NoSuchUpload": // finished by a request whose answer was lost, or aborted
		return err
	case r.Status == 412, r.Status == 409:
		return fmt.Errorf("%w (%s)", storage.ErrConflict, r)
	case isDigest[r.Code]:
		return fmt.Errorf("%w (%s)", storage.ErrCorrupt, r)
	case r.Status == 404:
		return fmt.Errorf("%w (%s)", fs.ErrNotExist, r)
	case r.Status == 403, r.Status == 401:
		return s.denied(r, permission, key)
	}
	return err
}

// isDigest are the codes for content that is not what a header announced.
var isDigest = map[string]bool{
	"BadDigest":                     true,
	"XAmzContentSHA256Mismatch":     true,
	"XAmzContentChecksumMismatch":   true,
	"InvalidDigest":                 true,
	"IncompleteBody":                true,
	"ContentSHA256Mismatch":         true,
	"XMinioContentSHA256Mismatch":   true,
	"XMinioContentChecksumMismatch": true,
}

func (s *store) noStore() error {
	return fmt.Errorf("bucket %s: %w", s.bucket, storage.ErrNoStore)
}

// denied names what is missing. S3 says 403 also for an object that is missing,
// to those who may not list the bucket: they must not take it for absent.
func (s *store) denied(r Response, permission, key string) error {
	resource := s.bucket
	if key != "" {
		resource += "/" + key
	}
	hint := ""
	if permission == "s3:GetObject" {
		hint = "; without s3:ListBucket on the bucket a missing object is refused too"
	}
	return fmt.Errorf("%w: %s on %s (%s)%s", fs.ErrPermission, permission, resource, r, hint)
}

func (r Response) String() string {
	if r.Code == "" {
		return fmt.Sprintf("HTTP %d", r.Status)
	}
	return fmt.Sprintf("%s: %s", r.Code, r.Message)
}
