package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

const onlineHint = "--online lambda:NAME, or lambda:NAME?region=REGION&endpoint=URL"

// A signerRef is who holds online keys, as --online names it: a function of AWS
// Lambda, or a publisher signer, which answers as one.
type signerRef struct {
	function string // its name or ARN
	region   string // empty: where the AWS SDK finds it
	endpoint string // https, http on this machine or unix; empty: that of AWS
}

// parseOnline reads lambda:NAME[?region=REGION&endpoint=URL].
func parseOnline(raw string) (signerRef, error) {
	kind, rest, _ := strings.Cut(raw, ":")
	name, query, _ := strings.Cut(rest, "?")
	if kind != "lambda" || name == "" || strings.ContainsAny(name, "/# ") {
		return signerRef{}, usage(onlineHint, "--online %q is not the name of a signer", raw)
	}
	ref := signerRef{function: name}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ref, usage(onlineHint, "--online %q: %w", raw, err)
	}
	for name, all := range values {
		value := all[len(all)-1]
		switch name {
		case "region":
			ref.region = value
		case "endpoint":
			ref.endpoint = value
		default:
			return ref, usage(onlineHint, "--online %q: unknown parameter %q", raw, name)
		}
	}
	if err := ref.checkEndpoint(); err != nil {
		return ref, usage(onlineHint, "--online %q: endpoint: %w", raw, err)
	}
	return ref, nil
}

// checkEndpoint refuses plain HTTP to other machines: whoever is on the way
// could answer in the signer's place.
func (r signerRef) checkEndpoint() error {
	if r.endpoint == "" {
		return nil
	}
	u, err := url.Parse(r.endpoint)
	switch {
	case err != nil:
		return err
	case u.Scheme == "unix" && u.Host == "" && u.Path != "", u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("%q: want https://HOST, http://127.0.0.1:PORT or unix:///PATH", r.endpoint)
	case !loopback(u.Hostname()):
		return fmt.Errorf("%q: plain http is for this machine only", r.endpoint)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// local reports whether the signer is a process of this machine.
func (r signerRef) local() bool {
	u, err := url.Parse(r.endpoint)
	return err == nil && (u.Scheme == "unix" || u.Scheme == "http")
}

// invokeTimeout is a little more than a function may take at most.
const invokeTimeout = 15*time.Minute + 30*time.Second

// A signerClient asks an online signer.
type signerClient struct {
	ref signerRef
	api *awslambda.Client
}

// signer is the way to the signer that --online named. It makes no request.
// Credentials come from where the AWS SDK looks for them; a signer on this
// machine asks for none.
func (a *app) signer(ctx context.Context, raw string) (*signerClient, error) {
	ref, err := parseOnline(raw)
	if err != nil {
		return nil, err
	}
	client := awshttp.NewBuildableClient().WithTimeout(invokeTimeout)
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(client)}
	if ref.region != "" {
		options = append(options, config.WithRegion(ref.region))
	}
	conf, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("set up the way to %s: %w", raw, err)
	}
	if ref.local() {
		conf.Credentials, conf.HTTPClient = localCredentials(), ref.localClient(client)
	}
	api := awslambda.NewFromConfig(conf, func(o *awslambda.Options) { ref.apply(o) })
	if o := api.Options(); o.Region == "" {
		return nil, usage("--online lambda:NAME?region=REGION, or set AWS_REGION", "no region for %s", raw)
	}
	return &signerClient{ref, api}, nil
}

// localCredentials are no secret: they name nobody, and nobody checks them.
func localCredentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("publisher", "publisher", "")
}

func (r signerRef) apply(o *awslambda.Options) {
	switch {
	case strings.HasPrefix(r.endpoint, "unix:"):
		o.BaseEndpoint = aws.String("http://localhost")
	case r.endpoint != "":
		o.BaseEndpoint = &r.endpoint
	}
	if r.local() {
		o.Retryer = localRetryer()
	}
	if o.BaseEndpoint != nil && o.Region == "" {
		o.Region = "us-east-1" // other servers need a name to sign, no more
	}
}

// localRetryer asks a signer again that is busy, for about a minute. One that
// does not run will not do so in a second.
func localRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 16, 5*time.Second, ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: map[string]struct{}{tooManyRequests: {}}}}
	})
}

// localClient also dials Unix sockets.
func (r signerRef) localClient(client *awshttp.BuildableClient) config.HTTPClient {
	path, ok := strings.CutPrefix(r.endpoint, "unix://")
	if !ok {
		return client
	}
	return client.WithTransportOptions(func(t *http.Transport) {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	})
}

// ask sends a request and reads the answer. The error is a *repo.GraceError, a
// *soonError or a *collectedError if it is to be asked again later; what else the
// signer says of an error is told as ours is.
func (s *signerClient) ask(ctx context.Context, request lambda.Request, answer any) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	out, err := s.api.Invoke(ctx, &awslambda.InvokeInput{FunctionName: &s.ref.function, Payload: payload})
	switch {
	case err != nil:
		return &unreachedError{s.unreached(err)}
	case out.FunctionError != nil:
		return failureOf(out.Payload)
	}
	if err := json.Unmarshal(out.Payload, answer); err != nil {
		return fmt.Errorf("read the answer of the signer %s: %w", s.ref.function, err)
	}
	return nil
}

// An unreachedError is one that is not the signer's own.
type unreachedError struct{ error }

func (e *unreachedError) Unwrap() error { return e.error }

// unreached adds what to do.
func (s *signerClient) unreached(err error) error {
	told := &cliError{
		hint: "check that the signer runs and can be reached, and run the same command again: it goes on where it stopped",
	}
	var sent *url.Error
	if errors.As(err, &sent) && !errors.Is(err, context.Canceled) {
		err, told.code = sent, exitFailed // without what the SDK adds
	}
	told.err = fmt.Errorf("ask the signer %s: %w", s.ref.function, err)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return told
	}
	switch api.ErrorCode() {
	case tooManyRequests:
		told.hint = "the signer is busy: run the same command again in a minute: it goes on where it stopped"
	case "ResourceNotFoundException":
		told.code, told.hint = exitNotFound, "check the name of the function, its region and the account"
	case "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException":
		told.code, told.hint = exitPermission, "check the credentials: they need lambda:InvokeFunction on the signer"
	}
	return told
}

// A soonError is that the signer did just now what it was asked for, and does it
// again in some seconds.
type soonError struct{ error }

// A collectedError is that a target is being removed as garbage: to ask again helps
// when that has ended.
type collectedError struct{ error }

func (e *collectedError) Unwrap() error { return e.error }

// failureOf is the error that the signer had.
func failureOf(payload []byte) error {
	var f lambda.Failure
	if err := json.Unmarshal(payload, &f); err != nil || f.Message == "" {
		f.Message = "it failed without a word"
	}
	if grace, ok := repo.ParseGrace(f.Message); ok {
		return grace
	}
	reason, hint := f.Reason()
	told := &cliError{err: fmt.Errorf("the signer: %s", reason), hint: hint}
	switch f.Type {
	case lambda.FailureVerification:
		told.code = exitVerification
	case lambda.FailureCollected:
		told.code, told.hint = exitConflict, collectedHint
		return &collectedError{told}
	case lambda.FailureSoon:
		return &soonError{told.err}
	}
	if told.hint == "" {
		told.hint = "run the same command again; the log of the signer tells more"
	}
	return told
}

// settings is those of a collection, as far as this command was not given
// others.
func (a *app) settings(c *trust.Collection) (trust.Settings, error) {
	s, err := c.Settings()
	if err != nil {
		return s, err
	}
	s = a.placed(c.Name(), s)
	if a.flags.store != "" {
		s.Store = a.flags.store
	}
	return s, a.checkOnline(a.overrideOnline(&s))
}

// overrideOnline puts what this command was given in place of what s says of
// the signer.
func (a *app) overrideOnline(s *trust.Settings) *trust.Settings {
	if a.flags.online != "" {
		s.Online = a.flags.online
	}
	if a.flags.inbox != "" {
		s.Inbox = a.flags.inbox
	}
	return s
}

// checkOnline refuses a signer without an inbox, and what is none.
func (a *app) checkOnline(s *trust.Settings) error {
	switch {
	case s.Online == "" && (a.flags.inbox == "" || a.inboxAlone):
		return nil
	case s.Online == "":
		return usage(onlineHint, "--inbox goes with --online: there is no signer")
	case s.Inbox == "":
		return usage("--inbox URL, the signer's private store", "--online goes with --inbox: the signer finds submissions there")
	}
	_, err := parseOnline(s.Online)
	return err
}

// onlineRoles is the roles whose keys an online signer holds.
var onlineRoles = []string{tuf.RoleSnapshot, tuf.RoleTimestamp}

// signerKeys asks a signer for the keys that a root is to name, which it makes
// if it has none.
func (a *app) signerKeys(ctx context.Context, collection, online string) (map[string]tuf.Key, error) {
	signer, err := a.signer(ctx, online)
	if err != nil {
		return nil, err
	}
	defer a.wait("waiting for the signer")()
	var answer lambda.KeysAnswer
	if err := signer.ask(ctx, lambda.Request{Action: lambda.ActionKeys, Collection: collection}, &answer); err != nil {
		return nil, err
	}
	for _, role := range onlineRoles {
		if _, err := answer.Keys[role].Public(); err != nil {
			return nil, fmt.Errorf("the signer %s has no good %s key: %w", signer.ref.function, role, err)
		}
	}
	return map[string]tuf.Key{tuf.RoleSnapshot: answer.Keys[tuf.RoleSnapshot], tuf.RoleTimestamp: answer.Keys[tuf.RoleTimestamp]}, nil
}
