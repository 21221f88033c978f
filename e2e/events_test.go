package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// The events of AWS, with everything that they carry.

// created is a notification of S3. Keys in it are encoded as in forms.
func created(bucket, key string) string { return records(bucket, key, 1) }

// records is a notification of S3 with the same record n times.
func records(bucket, key string, n int) string {
	record := fmt.Sprintf(`{
	"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
	"eventTime": "2026-11-22T12:00:00.000Z", "eventName": "ObjectCreated:Put",
	"userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
	"requestParameters": {"sourceIPAddress": "127.0.0.1"},
	"responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"},
	"s3": {
		"s3SchemaVersion": "1.0", "configurationId": "inbox",
		"bucket": {"name": %q, "ownerIdentity": {"principalId": "A3NL1KOZZKExample"}, "arn": "arn:aws:s3:::%s"},
		"object": {"key": %q, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"}
	}}`, bucket, bucket, strings.ReplaceAll(url.QueryEscape(key), "%2F", "/"))
	return `{"Records": [` + strings.Repeat(record+",", n-1) + record + `]}`
}

// bridged is the same through EventBridge, where keys are not encoded.
func bridged(bucket, key string) string {
	return fmt.Sprintf(`{
	"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
	"account": "123456789012", "time": "2026-11-22T12:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::%s"],
	"detail": {
		"version": "0", "bucket": {"name": %q},
		"object": {"key": %q, "size": 1024, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189"},
		"request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "127.0.0.1", "reason": "PutObject"
	}}`, bucket, bucket, key)
}

// queued is a notification of S3 that comes through SQS.
func queued(bucket, key string) string { return queue(created(bucket, key)) }

const messageID = "059f36b4-87a3-44ab-83d2-661975830a7d"

// queue is a message of SQS.
func queue(body string) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // a string
	}
	return fmt.Sprintf(`{"Records": [{
	"messageId": %q, "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...", "body": %s,
	"attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": "1545082649185"},
	"messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
	"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:inbox", "awsRegion": "us-east-1"
	}]}`, messageID, text)
}

// scheduled is from a rule of EventBridge or from its Scheduler, whose detail is
// a string.
func scheduled(source string) string {
	detail := "{}"
	if source == "aws.scheduler" {
		detail = `"{}"`
	}
	return fmt.Sprintf(`{
	"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": %q,
	"account": "123456789012", "time": "2026-11-22T12:00:00Z", "region": "us-east-1",
	"resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/refresh"], "detail": %s}`, source, detail)
}
