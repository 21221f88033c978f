// Command bootstrap is the online signer as a function of AWS Lambda, on the
// runtime provided.al2023. Its environment:
//
//	PUBLISHER_STORE    the public store, s3://bucket/prefix
//	PUBLISHER_INBOX    the private store, s3://bucket/prefix; another bucket or
//	                   prefix, which is never served
//	PUBLISHER_KEYS     how online keys are held: sealed:kms:ARN, in the inbox,
//	                   encrypted under a KMS key; or
//	                   awskms:collection=NAME,snapshot=ARN,timestamp=ARN, in KMS.
//	                   There a key is for one collection: more of them follow
//	                   after a semicolon. An ARN that follows another of its role
//	                   is that of a key that roots named before.
//	PUBLISHER_CREATE   names of collections that may be created, separated by
//	                   commas: each of them and what lies below it, or begins
//	                   with it if it ends in / . or -; none if empty
//	PUBLISHER_GENESIS  name=sha256, separated by commas: the first root that a
//	                   collection must have; may be empty
//	PUBLISHER_FUNCTION publish or refresh, if it is to do only that; a function
//	                   of its own refreshes without waiting for submissions
//	PUBLISHER_REFRESH_CONCURRENCY
//	                   how many collections are refreshed at once, 1 to 256;
//	                   16 if empty
//	PUBLISHER_REFRESH_WINDOW
//	                   when what is not urgent is renewed, such as 02:00-05:00,
//	                   in UTC; at all times if empty
//	PUBLISHER_METRICS  the collections that metrics tell of, separated by commas;
//	                   all of them if empty
//
// It does not start with a value that it cannot use. Logs go to stderr, metrics
// to stdout in CloudWatch's embedded metric format, both as lines of JSON.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"publisher/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	s, err := open(context.Background(), os.Getenv)
	if err != nil {
		log.Error("not started", "error", err.Error())
		os.Exit(1)
	}
	s.Log, s.Metrics, s.Now = log, os.Stdout, time.Now
	runtime.Start(handler{s})
}

// handler is the runtime's interface, which takes and gives plain bytes.
type handler struct{ *lambda.Signer }

func (h handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	answer, err := h.Handle(ctx, event)
	if err != nil {
		f := lambda.NewFailure(err)
		return nil, messages.InvokeResponse_Error{Message: f.Message, Type: f.Type}
	}
	return answer, nil
}
