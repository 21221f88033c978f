package lambda

import (
	"errors"
	"strings"

	"publisher/repo"
)

// A Failure is an error of Handle as it goes over the wire, in the form that
// functions of Lambda have.
type Failure struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

// The types of failures that a caller can decide by. All others are Failed:
// to ask again may help.
const (
	FailureRefused      = "Refused"      // it is the request's fault, see RefusedError
	FailureGrace        = "Grace"        // a rotation is under way, see repo.GraceError
	FailureSoon         = "Soon"         // it was done just now: ask again in some seconds, see repo.SoonError
	FailureCollected    = "Collected"    // a target is being removed as garbage, see repo.CollectedError
	FailureVerification = "Verification" // what is published does not verify, see repo.VerifyError
	FailureOther        = "Failed"
)

// NewFailure describes an error of Handle.
func NewFailure(err error) Failure {
	f := Failure{Message: err.Error(), Type: FailureOther}
	var refused *RefusedError
	var grace *repo.GraceError
	var soon *repo.SoonError
	var collected *repo.CollectedError
	var untrusted *repo.VerifyError
	switch {
	case errors.As(err, &refused):
		f.Type = FailureRefused
	case errors.As(err, &grace):
		f = Failure{Message: grace.Error(), Type: FailureGrace}
	case errors.As(err, &soon):
		f.Type = FailureSoon
	case errors.As(err, &collected):
		f.Type = FailureCollected
	case errors.As(err, &untrusted):
		f.Type = FailureVerification
	}
	return f
}

// Reason is what is wrong, and what to do about it if that is told.
func (f Failure) Reason() (reason, hint string) {
	reason, hint, _ = strings.Cut(f.Message, hintMark)
	return reason, hint
}
