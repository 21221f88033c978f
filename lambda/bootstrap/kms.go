package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"publisher/lambda"
	"publisher/repo/keys/sealed"
)

// openKMS opens the service in the region of a key. It makes no request.
func openKMS(ctx context.Context, arn string) (*kms.Client, error) {
	region, err := regionOf(arn)
	if err != nil {
		return nil, err
	}
	conf, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	return kms.NewFromConfig(conf), nil
}

// dataKeys makes data keys under one key. It decrypts under that key alone: by
// itself the service would take any key that the ciphertext names.
type dataKeys struct {
	client *kms.Client
	arn    string
}

// GenerateDataKey implements sealed.DataKeys.
func (d dataKeys) GenerateDataKey(ctx context.Context, under map[string]string) (plain, encrypted []byte, err error) {
	out, err := d.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &d.arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: under,
	})
	if err != nil {
		return nil, nil, err
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// DecryptDataKey implements sealed.DataKeys.
func (d dataKeys) DecryptDataKey(ctx context.Context, encrypted []byte, under map[string]string) ([]byte, error) {
	out, err := d.client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &d.arn, CiphertextBlob: encrypted, EncryptionContext: under,
	})
	var invalid *types.InvalidCiphertextException
	var other *types.IncorrectKeyException
	switch {
	case errors.As(err, &invalid), errors.As(err, &other):
		return nil, fmt.Errorf("%w: %w", sealed.ErrSeal, err)
	case err != nil:
		return nil, err
	}
	return out.Plaintext, nil
}

// signing signs with keys of one or more regions.
type signing map[string]*kms.Client // by ARN

func openSigning(ctx context.Context, arns lambda.ARNs) (signing, error) {
	s := signing{}
	for _, roles := range arns {
		for _, list := range roles {
			for _, arn := range list {
				client, err := openKMS(ctx, arn)
				if err != nil {
					return nil, err
				}
				s[arn] = client
			}
		}
	}
	return s, nil
}

// SignDigest implements awskms.Service.
func (s signing) SignDigest(ctx context.Context, arn string, digest []byte) ([]byte, error) {
	client, ok := s[arn]
	if !ok {
		return nil, fmt.Errorf("%s is not configured", arn)
	}
	out, err := client.Sign(ctx, &kms.SignInput{
		KeyId: &arn, Message: digest, MessageType: types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	if err != nil {
		return nil, err
	}
	return out.Signature, nil
}

// PublicKey implements awskms.Service.
func (s signing) PublicKey(ctx context.Context, arn string) ([]byte, error) {
	client, ok := s[arn]
	if !ok {
		return nil, fmt.Errorf("%s is not configured", arn)
	}
	out, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &arn})
	if err != nil {
		return nil, err
	}
	return out.PublicKey, nil
}
