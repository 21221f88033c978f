package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"publisher/storage"
	"publisher/storage/internal/s3api"
	"publisher/storage/internal/transport"
)

// api makes single requests to one bucket.
type api struct {
	client *s3.Client
	bucket string
}

func (a *api) Get(ctx context.Context, key string) (storage.Object, error) {
	out, err := a.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.bucket, Key: &key})
	if err != nil {
		return storage.Object{}, err
	}
	size := int64(-1)
	if out.ContentLength != nil {
		size = *out.ContentLength
	}
	return storage.Object{
		Body:     s3api.Checked(out.Body, size),
		Size:     size,
		Version:  storage.Version(aws.ToString(out.ETag)),
		Modified: aws.ToTime(out.LastModified),
		Date:     date(out.ResultMetadata),
	}, nil
}

func (a *api) Head(ctx context.Context, key string) (storage.Info, error) {
	out, err := a.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &a.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return storage.Info{}, err
	}
	return storage.Info{
		Size:     aws.ToInt64(out.ContentLength),
		Version:  storage.Version(aws.ToString(out.ETag)),
		Modified: aws.ToTime(out.LastModified),
		Date:     date(out.ResultMetadata),
		SHA256:   s3api.WholeSHA256(aws.ToString(out.ChecksumSHA256), string(out.ChecksumType)),
	}, nil
}

// date is the server's clock as it answered.
func date(m middleware.Metadata) time.Time {
	at, _ := awsmiddleware.GetServerTime(m)
	return at
}

// tellDate has every answer tell its date, those included that are errors.
func tellDate(stack *middleware.Stack) error {
	tell := middleware.DeserializeMiddlewareFunc("TellDate", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleDeserialize(ctx, in)
		if resp, ok := out.RawResponse.(*smithyhttp.Response); ok {
			transport.TellDate(ctx, resp.Header)
		}
		return out, meta, err
	})
	return stack.Deserialize.Add(tell, middleware.After)
}

func (a *api) HeadBucket(ctx context.Context) error {
	_, err := a.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &a.bucket})
	return err
}

func (a *api) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &a.bucket, Prefix: &prefix}
		if after := storage.After(ctx); after != "" {
			in.StartAfter = &after
		}
		pages := s3.NewListObjectsV2Paginator(a.client, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(storage.Entry{}, err)
				return
			}
			for _, o := range page.Contents {
				e := storage.Entry{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (a *api) Put(ctx context.Context, key string, body io.ReadSeeker, sum s3api.Sum, prev storage.Version) (storage.Version, error) {
	in := &s3.PutObjectInput{
		Bucket:         &a.bucket,
		Key:            &key,
		Body:           body,
		ContentLength:  &sum.Size,
		ChecksumSHA256: base64Of(sum),
		CacheControl:   aws.String(storage.CacheControl(key)),
		ContentType:    aws.String(storage.ContentType(key)),
	}
	if prev == storage.Absent {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(string(prev))
	}
	out, err := a.client.PutObject(ctx, in, signed(sum))
	if err != nil {
		return storage.Absent, err
	}
	return storage.Version(aws.ToString(out.ETag)), nil
}

func (a *api) Delete(ctx context.Context, key string, v storage.Version) error {
	in := &s3.DeleteObjectInput{Bucket: &a.bucket, Key: &key, IfMatch: aws.String(string(v))}
	_, err := a.client.DeleteObject(ctx, in, func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

func (a *api) StartUpload(ctx context.Context, key string) (string, error) {
	out, err := a.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket:            &a.bucket,
		Key:               &key,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		CacheControl:      aws.String(storage.CacheControl(key)),
		ContentType:       aws.String(storage.ContentType(key)),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.UploadId), nil
}

func (a *api) UploadPart(ctx context.Context, key, id string, p s3api.Part, data []byte) (string, error) {
	out, err := a.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:         &a.bucket,
		Key:            &key,
		UploadId:       &id,
		PartNumber:     &p.Number,
		Body:           bytes.NewReader(data),
		ContentLength:  &p.Size,
		ChecksumSHA256: base64Of(p.Sum),
	}, signed(p.Sum))
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

func (a *api) FinishUpload(ctx context.Context, key, id string, parts []s3api.Part) (storage.Version, error) {
	done := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		done[i] = types.CompletedPart{ETag: aws.String(p.ETag), PartNumber: aws.Int32(p.Number), ChecksumSHA256: base64Of(p.Sum)}
	}
	out, err := a.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &a.bucket,
		Key:             &key,
		UploadId:        &id,
		IfNoneMatch:     aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		return storage.Absent, err
	}
	return storage.Version(aws.ToString(out.ETag)), nil
}

func (a *api) AbortUpload(ctx context.Context, key, id string) error {
	_, err := a.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &a.bucket, Key: &key, UploadId: &id})
	return err
}

func (a *api) Explain(err error) (s3api.Response, bool) {
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) {
		return s3api.Response{}, false
	}
	r := s3api.Response{Status: resp.HTTPStatusCode()}
	if said := smithy.APIError(nil); errors.As(err, &said) {
		r.Code, r.Message = said.ErrorCode(), said.ErrorMessage()
	}
	return r, true
}

func base64Of(sum s3api.Sum) *string {
	return aws.String(base64.StdEncoding.EncodeToString(sum.SHA256))
}

// signed has the SDK sign the hash that is known, where it would read the body
// once more to compute it.
func signed(sum s3api.Sum) func(*s3.Options) {
	known := middleware.InitializeMiddlewareFunc("KnownPayloadHash", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, sum.Hex()), in)
	})
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(known, middleware.Before)
		})
	}
}
