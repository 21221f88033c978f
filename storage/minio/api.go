package minio

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/minio/minio-go/v7"
	"publisher/storage"
	"publisher/storage/internal/s3api"
)

// checksumHeader carries the SHA-256 of a whole object or part, in base64.
const checksumHeader = "X-Amz-Checksum-Sha256"

// api makes single requests to one bucket.
type api struct {
	*minio.Core
	once   *minio.Client // sends nothing again
	bucket string
}

// maxSettled is the largest object of which content and ETag are compared
// before it is handed out.
const maxSettled = 1 << 20

// maxReads is how often an object is read whose ETag is another version's.
const maxReads = 10

// Get reads a small object whole and compares it with its ETag: a server may
// answer with the content of one version and the ETag of another while the
// object is replaced, and against that ETag somebody would write. An ETag that
// is no MD5, as of encrypted objects, is believed when two reads agree, and so is
// content that is not what the server's checksum says.
func (a *api) Get(ctx context.Context, key string) (storage.Object, error) {
	var before []byte
	var version storage.Version
	for range maxReads {
		obj, err := a.get(ctx, key)
		if err != nil || obj.Size < 0 || obj.Size > maxSettled {
			return obj, err
		}
		data, err := io.ReadAll(obj.Body)
		damaged := errors.Is(err, storage.ErrDamaged)
		if err := errors.Join(err, obj.Body.Close()); err != nil && !damaged {
			return storage.Object{}, err
		}
		obj.Body = held(data, err)
		again := obj.Version == version && bytes.Equal(data, before)
		if sum := md5.Sum(data); again || !damaged && hex.EncodeToString(sum[:]) == string(obj.Version) {
			return obj, nil
		}
		before, version = data, obj.Version
	}
	return storage.Object{}, fmt.Errorf("%w: its ETag changed with each of %d reads", storage.ErrCorrupt, maxReads)
}

// held is a body that was read already, to its end or to an error.
func held(data []byte, err error) io.ReadCloser {
	if err == nil {
		return io.NopCloser(bytes.NewReader(data))
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(data), failing{err}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (a *api) get(ctx context.Context, key string) (storage.Object, error) {
	body, info, _, err := a.Core.GetObject(ctx, a.bucket, key, minio.GetObjectOptions{Checksum: true})
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{Body: s3api.Checked(body, info.Size), Size: info.Size, Version: storage.Version(info.ETag), Modified: info.LastModified}, nil
}

func (a *api) Head(ctx context.Context, key string) (storage.Info, error) {
	info, err := a.StatObject(ctx, a.bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return storage.Info{}, err
	}
	return storage.Info{
		Size:     info.Size,
		Version:  storage.Version(info.ETag),
		Modified: info.LastModified,
		SHA256:   s3api.WholeSHA256(info.ChecksumSHA256, info.ChecksumMode),
	}, nil
}

func (a *api) HeadBucket(ctx context.Context) error {
	ok, err := a.BucketExists(ctx, a.bucket)
	if err == nil && !ok {
		err = minio.ErrorResponse{StatusCode: http.StatusNotFound, Code: "NoSuchBucket"}
	}
	return err
}

func (a *api) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		opts := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, StartAfter: storage.After(ctx)}
		for o := range a.ListObjectsIter(ctx, a.bucket, opts) {
			if !yield(storage.Entry{Key: o.Key, Size: o.Size, Modified: o.LastModified}, o.Err) || o.Err != nil {
				return
			}
		}
	}
}

func options(key string) minio.PutObjectOptions {
	return minio.PutObjectOptions{CacheControl: storage.CacheControl(key), ContentType: storage.ContentType(key)}
}

func (a *api) Put(ctx context.Context, key string, body io.ReadSeeker, sum s3api.Sum, prev storage.Version) (storage.Version, error) {
	opts := options(key)
	opts.UserMetadata = map[string]string{checksumHeader: base64Of(sum)}
	if prev == storage.Absent {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(string(prev))
	}
	info, err := a.Core.PutObject(ctx, a.bucket, key, body, sum.Size, "", sum.Hex(), opts)
	return storage.Version(info.ETag), err
}

func (a *api) Delete(ctx context.Context, key string, _ storage.Version) error {
	return a.once.RemoveObject(ctx, a.bucket, key, minio.RemoveObjectOptions{})
}

func (a *api) StartUpload(ctx context.Context, key string) (string, error) {
	opts := options(key)
	opts.UserMetadata = map[string]string{"X-Amz-Checksum-Algorithm": "SHA256"}
	return a.NewMultipartUpload(ctx, a.bucket, key, opts)
}

func (a *api) UploadPart(ctx context.Context, key, id string, p s3api.Part, data []byte) (string, error) {
	part, err := a.PutObjectPart(ctx, a.bucket, key, id, int(p.Number), bytes.NewReader(data), p.Size, minio.PutObjectPartOptions{
		Sha256Hex:    p.Hex(),
		CustomHeader: http.Header{checksumHeader: {base64Of(p.Sum)}},
	})
	return part.ETag, err
}

func (a *api) FinishUpload(ctx context.Context, key, id string, parts []s3api.Part) (storage.Version, error) {
	done := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		done[i] = minio.CompletePart{PartNumber: int(p.Number), ETag: p.ETag, ChecksumSHA256: base64Of(p.Sum)}
	}
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*")
	info, err := a.CompleteMultipartUpload(ctx, a.bucket, key, id, done, opts)
	return storage.Version(info.ETag), err
}

func (a *api) AbortUpload(ctx context.Context, key, id string) error {
	return a.AbortMultipartUpload(ctx, a.bucket, key, id)
}

func (a *api) Explain(err error) (s3api.Response, bool) {
	var said minio.ErrorResponse
	if !errors.As(err, &said) || said.StatusCode == 0 {
		return s3api.Response{}, false
	}
	return s3api.Response{Status: said.StatusCode, Code: said.Code, Message: said.Message}, true
}

func base64Of(sum s3api.Sum) string { return base64.StdEncoding.EncodeToString(sum.SHA256) }
