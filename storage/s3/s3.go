// Package s3 stores objects in a bucket of Amazon S3, or of a server that
// speaks its protocol, through the AWS SDK.
package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"publisher/storage"
	"publisher/storage/internal/s3api"
	"publisher/storage/internal/transport"
)

// Open returns the store at s3://bucket/prefix. It makes no request. Region,
// endpoint and credentials come from where the AWS SDK looks for them
// (environment, shared files, SSO, the machine's role); the query can override:
//
//	region=eu-central-1     the bucket's region
//	endpoint=https://host   another server (as AWS_ENDPOINT_URL_S3)
//	path_style=true         bucket in the path, not in the host name; the
//	                        default for another server
//
// The store is a storage.Stater and a storage.Deleter.
func Open(ctx context.Context, u *url.URL) (storage.Store, error) {
	return open(ctx, u, transport.Patience)
}

// OpenAnonymous returns the same store as it answers to those who have no
// credentials.
func OpenAnonymous(ctx context.Context, u *url.URL) (storage.Store, error) {
	return openAs(ctx, u, transport.Patience, func(aws.CredentialsProvider) aws.CredentialsProvider { return aws.AnonymousCredentials{} })
}

func open(ctx context.Context, u *url.URL, patience time.Duration) (storage.Store, error) {
	return openAs(ctx, u, patience, func(found aws.CredentialsProvider) aws.CredentialsProvider { return credentials{found} })
}

// openAs opens it with credentials that are made from those that the SDK finds.
func openAs(ctx context.Context, u *url.URL, patience time.Duration, who func(aws.CredentialsProvider) aws.CredentialsProvider) (storage.Store, error) {
	opts, err := parse(u)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	// A client of the SDK's kind, so that AWS_CA_BUNDLE works.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		transport.Configure(t, patience)
	})
	// The SDK's logger would write lines of its own to stderr.
	conf, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithLogger(logging.Nop{}))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	conf.Credentials = who(conf.Credentials)
	bucket := s3.NewFromConfig(conf, opts.apply)
	if err := checkClient(bucket.Options()); err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	return storage.Prefix(s3api.New(&api{bucket, u.Host}, u.Host), u.Path), nil
}

// options are those of the query.
type options struct {
	region, endpoint string
	pathStyle        *bool
}

func parse(u *url.URL) (o options, err error) {
	prefix := strings.Trim(u.Path, "/")
	switch {
	case u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Port() != "":
		return o, fmt.Errorf("want s3://bucket/prefix")
	case prefix != "" && !storage.ValidKey(prefix):
		return o, fmt.Errorf("invalid prefix %q", prefix)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, err
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "region":
			o.region = value
		case "endpoint":
			o.endpoint = value
		case "path_style":
			b, err := strconv.ParseBool(value)
			if err != nil {
				return o, fmt.Errorf("path_style=%s: want true or false", value)
			}
			o.pathStyle = &b
		default:
			return o, fmt.Errorf("unknown parameter %q: want region, endpoint or path_style", name)
		}
	}
	return o, nil
}

func (o options) apply(s *s3.Options) {
	if o.region != "" {
		s.Region = o.region
	}
	if o.endpoint != "" {
		s.BaseEndpoint = &o.endpoint
	}
	if s.BaseEndpoint != nil {
		s.UsePathStyle = true
		if s.Region == "" {
			s.Region = "us-east-1" // other servers need a name to sign, no more
		}
	}
	if o.pathStyle != nil {
		s.UsePathStyle = *o.pathStyle
	}
	// Large objects have no checksum of the whole, and what they are is checked
	// against signed metadata anyway: not worth a line on the terminal each.
	s.DisableLogOutputChecksumValidationSkipped = true
	s.APIOptions = append(s.APIOptions, tellDate)
}

func checkClient(o s3.Options) error {
	if o.Region == "" {
		return fmt.Errorf("no region: set AWS_REGION, or add ?region= to the address")
	}
	if o.BaseEndpoint == nil {
		return nil
	}
	endpoint, err := url.Parse(aws.ToString(o.BaseEndpoint))
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	if err := transport.CheckURL(endpoint); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	return nil
}
