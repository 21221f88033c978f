package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"publisher/internal/doctor"
	"publisher/lambda"
	"publisher/repo/tuf"
)

// examined is the signer, for a doctor.
func (o *online) examined() *doctor.Signer {
	return &doctor.Signer{Keys: o.held, Look: o.signer.ref.look()}
}

// held is the public keys that the signer has for the collection, with the errors
// that a doctor tells apart.
func (o *online) held(ctx context.Context) (map[string]tuf.Key, error) {
	// Without credentials the SDK speaks of a request that failed.
	if _, err := o.signer.api.Options().Credentials.Retrieve(ctx); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: no credentials to ask the signer with: %w", fs.ErrPermission, err)
	}
	var answer lambda.KeysAnswer
	err := o.signer.ask(ctx, lambda.Request{Action: lambda.ActionKeys, Collection: o.c.Name()}, &answer)
	code, hint := told(err, 0, "")
	_, unreached := errors.AsType[*unreachedError](err)
	switch {
	case err == nil:
		return answer.Keys, nil
	case unreached && code == exitPermission:
		return nil, fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case unreached:
		return nil, err
	}
	return nil, &doctor.SignerError{Err: err, Hint: hint}
}

// look is what shows whether the signer runs, to type.
func (r signerRef) look() string {
	path, socket := strings.CutPrefix(r.endpoint, "unix://")
	switch {
	case socket:
		return "start it: systemctl restart publisher-signer; curl --unix-socket " + quoted(path) + " http://localhost/health then says ok"
	case r.endpoint != "":
		return "start it: systemctl restart publisher-signer; curl " + quoted(strings.TrimRight(r.endpoint, "/")+"/health") + " then says ok"
	}
	look := "aws lambda get-function --function-name " + quoted(r.function)
	if r.region != "" {
		look += " --region " + quoted(r.region)
	}
	return "see whether it is there: " + look + "; and look at its log"
}
