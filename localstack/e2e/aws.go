package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	signer "publisher/lambda"
)

// A cloud is AWS, or what speaks its protocols.
type cloud struct {
	options
	conf   aws.Config
	s3     *s3.Client
	kms    *kms.Client
	lambda *lambda.Client // to invoke functions
	maker  *lambda.Client // to make them
}

// connect makes no request. Emulators that are not told who asks are told
// "test".
func connect(ctx context.Context, o options) (*cloud, error) {
	conf, err := config.LoadDefaultConfig(ctx, config.WithRegion(o.region))
	if err != nil {
		return nil, err
	}
	if o.endpoint != "" {
		conf.BaseEndpoint = &o.endpoint
		conf.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	}
	c := &cloud{options: o, conf: conf, kms: kms.NewFromConfig(conf), maker: lambda.NewFromConfig(conf)}
	c.s3 = s3.NewFromConfig(conf, func(s *s3.Options) { s.UsePathStyle = o.endpoint != "" })
	c.lambda = lambda.NewFromConfig(conf, func(l *lambda.Options) {
		if o.lambdaEndpoint != "" {
			l.BaseEndpoint = &o.lambdaEndpoint
		}
	})
	return c, nil
}

// The functions, as the Terraform module names them.
func (c *cloud) publishing() string { return c.name + "-publish" }
func (c *cloud) refreshing() string { return c.name + "-refresh" }

// store is the URL of a bucket, for publisher.
func (c *cloud) store(bucket string) string {
	return (&url.URL{Scheme: "s3", Host: bucket, RawQuery: c.query(c.endpoint).Encode()}).String()
}

// online is what publisher takes as --online.
func (c *cloud) online() string {
	return "lambda:" + c.publishing() + "?" + c.query(c.lambdaEndpoint).Encode()
}

func (c *cloud) query(endpoint string) url.Values {
	q := url.Values{"region": {c.region}}
	if endpoint != "" {
		q.Set("endpoint", endpoint)
	}
	return q
}

// env is the credentials with which publisher asks an emulator.
func (c *cloud) env() []string {
	if c.endpoint == "" {
		return nil
	}
	return []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + c.region}
}

// send invokes a function with an event, as a service of AWS does, but waits for
// what it did.
func (c *cloud) send(ctx context.Context, function, event string) (counts signer.Counts, err error) {
	out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: []byte(event)})
	if err == nil && out.FunctionError != nil {
		err = errors.New(string(out.Payload))
	}
	if err == nil {
		err = json.Unmarshal(out.Payload, &counts)
	}
	if err != nil {
		return counts, fmt.Errorf("send an event to %s: %w", function, err)
	}
	return counts, nil
}

// scheduled is the event of the schedules in terraform/schedule.tf.
const scheduled = `{"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}`

// created is the event of a new object in a bucket.
func created(bucket, key string) string {
	event, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
		"s3": map[string]any{"bucket": map[string]string{"name": bucket}, "object": map[string]string{"key": url.QueryEscape(key)}},
	}}})
	if err != nil {
		panic(err) // strings only
	}
	return string(event)
}

// unproven is what the endpoint says nothing about.
func (c *cloud) unproven() []string {
	var left []string
	if c.events == 0 && !c.only {
		left = append(left, "that S3 tells the function of a submission: the event was sent from here")
	}
	if !c.only {
		left = append(left, "that EventBridge Scheduler wakes the function: its event was sent from here")
	}
	if c.endpoint == "" {
		return left
	}
	return append(left,
		"the policies: an emulator lets everybody do everything, so see the tests of terraform/ and of the policies on real servers",
		"CloudFront and its cache: pulled was from the bucket, which everybody may read here",
		"alarms, dashboard and dead-letter queues: nothing here has them")
}
