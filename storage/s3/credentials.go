package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// credentials tell what to do if there are none, where the SDK tells only of
// the last place where it looked: the metadata service of a machine at AWS.
type credentials struct{ aws.CredentialsProvider }

// Retrieve fails with fs.ErrPermission if there are no credentials.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	switch {
	case err == nil && found.HasKeys():
		return found, nil
	case ctx.Err() != nil:
		return aws.Credentials{}, ctx.Err()
	case err == nil:
		err = errors.New("they are empty")
	}
	// Not wrapped: a 404 of the metadata service says nothing of an object.
	return aws.Credentials{}, fmt.Errorf("%w: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (%v)", fs.ErrPermission, err)
}
