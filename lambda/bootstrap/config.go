package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys/sealed"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/s3"
)

// The environment.
const (
	envStore       = "PUBLISHER_STORE"
	envInbox       = "PUBLISHER_INBOX"
	envKeys        = "PUBLISHER_KEYS"
	envCreate      = "PUBLISHER_CREATE"
	envGenesis     = "PUBLISHER_GENESIS"
	envFunction    = "PUBLISHER_FUNCTION"
	envConcurrency = "PUBLISHER_REFRESH_CONCURRENCY"
	envWindow      = "PUBLISHER_REFRESH_WINDOW"
	envMetrics     = "PUBLISHER_METRICS"
)

// open makes the signer that the environment describes. An error names the
// variable.
func open(ctx context.Context, env func(string) string) (*lambda.Signer, error) {
	s := &lambda.Signer{}
	for _, step := range []struct {
		name string
		set  func(context.Context, *lambda.Signer, string) error
	}{
		{envStore, setStore},
		{envInbox, setInbox},
		{envKeys, setKeys},
		{envCreate, setCreate},
		{envGenesis, setGenesis},
		{envFunction, setFunction},
		{envConcurrency, setConcurrency},
		{envWindow, setWindow},
		{envMetrics, setMetrics},
	} {
		if err := step.set(ctx, s, env(step.name)); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if err := apart(env(envStore), env(envInbox)); err != nil {
		return nil, fmt.Errorf("%s: %w", envInbox, err)
	}
	return s, nil
}

func setStore(ctx context.Context, s *lambda.Signer, raw string) (err error) {
	s.Public, _, err = openStore(ctx, raw)
	return err
}

func setInbox(ctx context.Context, s *lambda.Signer, raw string) (err error) {
	var u *url.URL
	if s.Private, u, err = openStore(ctx, raw); err == nil {
		s.Bucket, s.Prefix = u.Host, strings.Trim(u.Path, "/")
	}
	return err
}

func openStore(ctx context.Context, raw string) (storage.Store, *url.URL, error) {
	if raw == "" {
		return nil, nil, fmt.Errorf("want s3://bucket/prefix")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, nil, err
	}
	store, err := s3.Open(ctx, u)
	return store, u, err
}

// apart refuses an inbox that is served, and a public store that is swept.
func apart(public, private string) error {
	a, errA := url.Parse(public)
	b, errB := url.Parse(private)
	if errA != nil || errB != nil || a.Host != b.Host || a.Query().Get("endpoint") != b.Query().Get("endpoint") {
		return nil
	}
	dirA, dirB := strings.Trim(a.Path, "/")+"/", strings.Trim(b.Path, "/")+"/"
	if dirA == "/" || dirB == "/" || strings.HasPrefix(dirA, dirB) || strings.HasPrefix(dirB, dirA) {
		return fmt.Errorf("it lies within %s, or that within it: want another bucket, or another prefix", envStore)
	}
	return nil
}

var arnShape = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$`)

// regionOf is where an ARN says that its key is.
func regionOf(arn string) (string, error) {
	found := arnShape.FindStringSubmatch(arn)
	if found == nil {
		return "", fmt.Errorf("%q is not the ARN of a KMS key", arn)
	}
	return found[1], nil
}

func setKeys(ctx context.Context, s *lambda.Signer, raw string) error {
	if arn, ok := strings.CutPrefix(raw, "sealed:kms:"); ok {
		service, err := openKMS(ctx, arn)
		s.Keys = lambda.SealedKeys{Sealer: sealed.KMS{Keys: dataKeys{service, arn}}}
		return err
	}
	if list, ok := strings.CutPrefix(raw, "awskms:"); ok {
		arns, err := parseARNs(list)
		if err != nil {
			return err
		}
		service, err := openSigning(ctx, arns)
		s.Keys = lambda.KMSKeys{Service: service, ARNs: arns}
		return err
	}
	return fmt.Errorf("want sealed:kms:ARN, or awskms:collection=NAME,snapshot=ARN,timestamp=ARN")
}

// parseARNs reads collection=NAME,snapshot=ARN,timestamp=ARN;collection=… No
// key may be there twice.
func parseARNs(list string) (lambda.ARNs, error) {
	arns, used := lambda.ARNs{}, map[string]bool{}
	for one := range strings.SplitSeq(list, ";") {
		collection, roles, err := parseGroup(one)
		if err != nil {
			return nil, err
		}
		if arns[collection] != nil {
			return nil, fmt.Errorf("%s is there twice", collection)
		}
		for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
			if len(roles[role]) == 0 {
				return nil, fmt.Errorf("%s has no %s=ARN", collection, role)
			}
			for _, arn := range roles[role] {
				if used[arn] {
					return nil, fmt.Errorf("%s is there twice: a key is for one role of one collection", arn)
				}
				used[arn] = true
			}
		}
		arns[collection] = roles
	}
	return arns, nil
}

func parseGroup(text string) (collection string, roles map[string][]string, err error) {
	roles = map[string][]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "collection":
			if collection != "" {
				return "", nil, fmt.Errorf("two collections in %q: put a semicolon between them", text)
			}
			collection = value
		case tuf.RoleSnapshot, tuf.RoleTimestamp:
			if _, err := regionOf(value); err != nil {
				return "", nil, err
			}
			roles[name] = append(roles[name], value)
		default:
			return "", nil, fmt.Errorf("unknown %q: want collection=NAME, snapshot=ARN, timestamp=ARN", part)
		}
	}
	if err := repo.CheckCollection(collection); err != nil {
		return "", nil, fmt.Errorf("a key in KMS is for one collection, want collection=NAME: %w", err)
	}
	return collection, roles, nil
}

func setCreate(_ context.Context, s *lambda.Signer, raw string) error {
	var prefixes []string
	for prefix := range fields(raw) {
		if err := lambda.CheckCreate(prefix); err != nil {
			return err
		}
		prefixes = append(prefixes, prefix)
	}
	s.Create = lambda.CreateBelow(prefixes...)
	return nil
}

func setGenesis(_ context.Context, s *lambda.Signer, raw string) error {
	genesis, err := lambda.FirstRoots(slices.Collect(fields(raw))...)
	s.Genesis = genesis
	return err
}

// fields is what stands between commas.
func fields(raw string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(raw, ",") {
			if part = strings.TrimSpace(part); part != "" && !yield(part) {
				return
			}
		}
	}
}

func setFunction(_ context.Context, s *lambda.Signer, raw string) error {
	switch raw {
	case "", lambda.Publishing, lambda.Refreshing:
		s.Only = raw
		return nil
	}
	return fmt.Errorf("%q: want publish or refresh, or nothing for both", raw)
}

const maxConcurrency = 256

func setConcurrency(_ context.Context, s *lambda.Signer, raw string) error {
	n, err := strconv.Atoi(cmp.Or(raw, strconv.Itoa(lambda.DefaultConcurrency)))
	if err != nil || n < 1 || n > maxConcurrency {
		return fmt.Errorf("%q: want a number from 1 to %d", raw, maxConcurrency)
	}
	s.Concurrency = n
	return nil
}

func setWindow(_ context.Context, s *lambda.Signer, raw string) (err error) {
	s.Windows, err = lambda.ParseWindows(raw)
	return err
}

// setMetrics takes the names of the collections that are measured.
func setMetrics(_ context.Context, s *lambda.Signer, raw string) error {
	measured := map[string]bool{}
	for name := range fields(raw) {
		if err := repo.CheckCollection(name); err != nil {
			return err
		}
		measured[name] = true
	}
	if len(measured) > 0 {
		s.Measure = func(collection string) bool { return measured[collection] }
	}
	return nil
}
