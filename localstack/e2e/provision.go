package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// provision makes what terraform/ makes, as far as emulators have it: buckets
// with versions, the key that seals, and the functions with the events of the
// inbox. What differs from there: everybody may read the public bucket, since
// there is no CloudFront; the role of the functions allows nothing in
// particular; there is no schedule and no alarm. What is there already stays.
func (c *cloud) provision(ctx context.Context, p *proof) error {
	for _, bucket := range []string{c.public, c.inbox} {
		if err := c.makeBucket(ctx, bucket); err != nil {
			return fmt.Errorf("make the bucket %s: %w", bucket, err)
		}
	}
	if err := c.letRead(ctx); err != nil {
		return fmt.Errorf("let everybody read %s: %w", c.public, err)
	}
	key, err := c.makeKey(ctx)
	if err != nil {
		return fmt.Errorf("make the key that seals: %w", err)
	}
	p.prove("%s and %s are there and keep versions, %s is there", c.public, c.inbox, key)
	if c.zip == "" {
		return nil
	}
	if err := c.makeFunctions(ctx, key); err != nil {
		return err
	}
	p.prove("%s and %s are there, and %s has %s told of what is left in it", c.publishing(), c.refreshing(), c.inbox, c.publishing())
	return nil
}

func (c *cloud) makeBucket(ctx context.Context, bucket string) error {
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if c.region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(c.region)}
	}
	_, err := c.s3.CreateBucket(ctx, in)
	if own := new(s3types.BucketAlreadyOwnedByYou); err != nil && !errors.As(err, &own) {
		return err
	}
	_, err = c.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return err
	}
	got, err := c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &bucket})
	if err == nil && got.Status != s3types.BucketVersioningStatusEnabled {
		err = errors.New("it keeps no versions")
	}
	return err
}

// letRead stands in for CloudFront, which may read the bucket, and may list it
// so that what is missing is a 404.
func (c *cloud) letRead(ctx context.Context) error {
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
		"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::%[1]s", "arn:aws:s3:::%[1]s/*"]}]}`, c.public)
	_, err := c.s3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &c.public, Policy: &policy})
	return err
}

// makeKey returns the ARN of the key behind the alias of the Terraform module.
func (c *cloud) makeKey(ctx context.Context) (arn string, err error) {
	alias := "alias/" + c.name + "-seal"
	there, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &alias})
	if err == nil {
		return *there.KeyMetadata.Arn, nil
	}
	if missing := new(kmstypes.NotFoundException); !errors.As(err, &missing) {
		return "", err
	}
	made, err := c.kms.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return "", err
	}
	_, err = c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: made.KeyMetadata.KeyId})
	return *made.KeyMetadata.Arn, err
}

// makeFunctions makes both functions anew, so that they have this zip and this
// configuration.
func (c *cloud) makeFunctions(ctx context.Context, key string) error {
	code, err := os.ReadFile(c.zip)
	if err != nil {
		return fmt.Errorf("read the functions' code: %w", err)
	}
	role, err := c.makeRole(ctx)
	if err != nil {
		return fmt.Errorf("make the functions' role: %w", err)
	}
	var publishing string
	for function, name := range map[string]string{"publish": c.publishing(), "refresh": c.refreshing()} {
		arn, err := c.makeFunction(ctx, name, role, code, c.environment(function, key))
		if err != nil {
			return fmt.Errorf("make the function %s: %w", name, err)
		}
		if function == "publish" {
			publishing = arn
		}
	}
	if err := c.notify(ctx, publishing); err != nil {
		return fmt.Errorf("have %s told of %s: %w", c.publishing(), c.inbox, err)
	}
	return nil
}

// environment is that of terraform/signer.tf.
func (c *cloud) environment(function, key string) map[string]string {
	env := map[string]string{
		"PUBLISHER_STORE":    "s3://" + c.public,
		"PUBLISHER_INBOX":    "s3://" + c.inbox,
		"PUBLISHER_KEYS":     "sealed:kms:" + key,
		"PUBLISHER_CREATE":   c.create,
		"PUBLISHER_FUNCTION": function,
	}
	if c.functionEndpoint != "" {
		env["AWS_ENDPOINT_URL"] = c.functionEndpoint
	}
	return env
}

func (c *cloud) makeFunction(ctx context.Context, name, role string, code []byte, env map[string]string) (arn string, err error) {
	_, err = c.maker.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
	if missing := new(lambdatypes.ResourceNotFoundException); err != nil && !errors.As(err, &missing) {
		return "", err
	}
	handler, timeout, memory := "bootstrap", int32(300), int32(1024)
	made, err := c.maker.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, Role: &role, Handler: &handler, Timeout: &timeout, MemorySize: &memory,
		Runtime: lambdatypes.RuntimeProvidedal2023, Architectures: []lambdatypes.Architecture{lambdatypes.Architecture(c.arch)},
		Code: &lambdatypes.FunctionCode{ZipFile: code}, Environment: &lambdatypes.Environment{Variables: env},
	})
	if err != nil {
		return "", err
	}
	ready := lambda.NewFunctionActiveV2Waiter(c.maker)
	return *made.FunctionArn, ready.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, 5*time.Minute)
}

// notify has the inbox tell a function of new manifests.
func (c *cloud) notify(ctx context.Context, arn string) error {
	statement, action, service, source := "InboxTells", "lambda:InvokeFunction", "s3.amazonaws.com", "arn:aws:s3:::"+c.inbox
	_, err := c.maker.AddPermission(ctx, &lambda.AddPermissionInput{
		FunctionName: &arn, StatementId: &statement, Action: &action, Principal: &service, SourceArn: &source,
	})
	if err != nil {
		return err
	}
	suffix := ".json"
	_, err = c.s3.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &c.inbox,
		NotificationConfiguration: &s3types.NotificationConfiguration{LambdaFunctionConfigurations: []s3types.LambdaFunctionConfiguration{{
			LambdaFunctionArn: &arn, Events: []s3types.Event{"s3:ObjectCreated:*"},
			Filter: &s3types.NotificationConfigurationFilter{Key: &s3types.S3KeyFilter{
				FilterRules: []s3types.FilterRule{{Name: s3types.FilterRuleNameSuffix, Value: &suffix}},
			}},
		}}},
	})
	return err
}

const trustLambda = `{"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`

// makeRole asks IAM for a role that functions may take on, and returns its ARN.
func (c *cloud) makeRole(ctx context.Context) (arn string, err error) {
	name := c.name + "-signer"
	_, err = c.askIAM(ctx, "CreateRole", map[string]string{"RoleName": name, "AssumeRolePolicyDocument": trustLambda})
	if err != nil && !strings.Contains(err.Error(), "EntityAlreadyExists") {
		return "", err
	}
	answer, err := c.askIAM(ctx, "GetRole", map[string]string{"RoleName": name})
	_, rest, found := strings.Cut(answer, "<Arn>")
	if err == nil && !found {
		err = fmt.Errorf("no ARN in %.200q", answer)
	}
	arn, _, _ = strings.Cut(rest, "</Arn>")
	return arn, err
}

// askIAM makes one request. Two requests to one service are no reason for the
// whole of its SDK.
func (c *cloud) askIAM(ctx context.Context, action string, params map[string]string) (answer string, err error) {
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for name, value := range params {
		form.Set(name, value)
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	keys, err := c.conf.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), "iam", c.region, time.Now()); err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.500s", action, resp.Status, data)
	}
	return string(data), err
}
