// Package lambda is the online signer: it checks submissions, signs snapshot
// and timestamp, and refreshes them on a schedule. It is a library: one event
// goes in, one answer comes out. Package bootstrap runs it on AWS, publisher
// signer anywhere else.
//
// Events are hints. Each run reads the state from the stores, so an event that
// comes twice, late, out of order or never does no harm, and neither do two runs
// at once.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/storage"
)

// A Signer answers events. Its fields are not to be changed once it is in use.
// It is safe for concurrent use.
type Signer struct {
	Public  storage.Store // what is served
	Private storage.Store // the inbox, never served
	Keys    Keys
	Now     func() time.Time

	// Create reports why no collection of this name may be created; nil lets
	// none be.
	Create func(collection string) error

	// Genesis, if set, knows the SHA-256 (hex) that the first root of some
	// collections must have.
	Genesis func(collection string) (sha256 string, ok bool)

	// Bucket and Prefix are where S3 events of the inbox come from. Those of
	// other places are ignored.
	Bucket, Prefix string

	// Only, if set, is what this instance does: Publishing or Refreshing.
	Only string

	// Windows are when all that is due is renewed. At other times it is what is
	// urgent, and what somebody asks for by its name.
	Windows Windows

	// Margin is how long before the deadline of its context a run stops between
	// steps; 0 is DefaultMargin.
	Margin time.Duration

	// Concurrency is how many collections are refreshed at once; 0 is
	// DefaultConcurrency.
	Concurrency int

	// CacheBytes is how much verified metadata is kept in memory; 0 is
	// DefaultCacheBytes.
	CacheBytes int64

	Log     *slog.Logger                 // nil discards
	Metrics io.Writer                    // gets CloudWatch's embedded metric format, one line each; may be nil
	Measure func(collection string) bool // reports whether Metrics is to have it; nil for all
	Watch   func(Metric)                 // is told what Metrics gets, by several goroutines at once; may be nil

	once     sync.Once
	busy     busy
	public   storage.Store // Public, guarded
	private  storage.Store // Private, guarded
	keys     Keys          // Keys, with an end to what is asked of them
	room     *room
	caches   *caches
	opened   *opened
	attempts *underWay
	metrics  metrics
}

// What a Signer does if it does not do everything.
const (
	Publishing = "publish" // commits submissions and makes keys
	Refreshing = "refresh" // renews signatures, and never waits for submissions
)

// The defaults of a Signer's fields.
const (
	DefaultMargin      = 10 * time.Second
	DefaultConcurrency = 16
	DefaultCacheBytes  = 48 << 20
)

// Keys makes and opens online keys.
type Keys interface {
	// Make makes a key for a role of a collection.
	Make(ctx context.Context, collection, role string) (*Key, error)

	// Open returns the signer of a key that Make made. It takes its context
	// from options.WithContext, and may be kept.
	Open(ctx context.Context, key *Key) (signature.Signer, error)
}

// Handle answers one event with JSON. An error means that nothing more can be
// done now: it is a *RefusedError if it is the event's fault.
//
// The events are: a Request; a scheduled event of EventBridge, or of its
// Scheduler; an event of S3, by itself, through EventBridge, or either of them
// through SQS.
func (s *Signer) Handle(ctx context.Context, event []byte) (answer []byte, err error) {
	s.once.Do(s.start)
	defer func() { s.conclude(err) }()
	defer caught(&err)
	result, err := s.dispatch(ctx, event)
	if err != nil {
		return nil, err
	}
	if answer, err = json.Marshal(result, json.Deterministic(true)); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return answer, nil
}

// conclude logs how an event ended. That somebody else was faster is no failure.
func (s *Signer) conclude(err error) {
	var soon *repo.SoonError
	switch {
	case err == nil:
	case errors.Is(err, errNoSubmission), errors.As(err, &soon):
		s.Log.Info("nothing to do", "reason", err.Error())
	default:
		s.fail("event failed", err)
	}
}

// fail logs an error, with the stack if it was a panic.
func (s *Signer) fail(what string, err error, args ...any) {
	args = append(args, "error", err.Error())
	var p *panicError
	if errors.As(err, &p) {
		args = append(args, "stack", string(p.stack))
	}
	s.Log.Error(what, args...)
}

func (s *Signer) start() {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Margin == 0 {
		s.Margin = DefaultMargin
	}
	if s.Concurrency == 0 {
		s.Concurrency = DefaultConcurrency
	}
	if s.CacheBytes == 0 {
		s.CacheBytes = DefaultCacheBytes
	}
	s.public, s.private = guard(s.Public, s.Now), guard(s.Private, s.Now)
	s.keys = patientKeys{s.Keys}
	s.room = newRoom()
	s.caches, s.opened, s.attempts = newCaches(s.CacheBytes), newOpened(), newUnderWay()
	s.metrics = metrics{to: s.Metrics, measure: s.Measure, watch: s.Watch, now: s.Now}
}

// A RefusedError reports an event that is not answered, now or later.
type RefusedError struct {
	Reason string
	Hint   string // what to do
	cause  error  // may be nil
}

// hintMark is between the two lines that people see, in the one line that an
// error of a function has.
const hintMark = "; hint: "

func (e *RefusedError) Error() string { return e.Reason + hintMark + e.Hint }

func (e *RefusedError) Unwrap() error { return e.cause }

func refused(hint, format string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// A panicError is a panic that was caught. Its stack is for the log alone.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("internal error: %.200v", e.value) }

// caught, deferred, makes an error of a panic.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p, debug.Stack()}
	}
}

// hasTime reports whether there is time for another step.
func (s *Signer) hasTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > s.Margin)
}
