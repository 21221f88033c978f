package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
)

// parseLifetime reads a duration as people write expiry: 90d, 2w, 1y, or one of
// Go's such as 36h. It is positive and at most 50 years.
func parseLifetime(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	units := map[string]time.Duration{"d": day, "w": 7 * day, "y": 365 * day}
	d, err := time.ParseDuration(text)
	for unit, length := range units {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, convErr := strconv.ParseUint(number, 10, 16)
			d, err = time.Duration(n)*length, convErr
			break
		}
	}
	if err != nil || d < time.Second || d > 50*365*day {
		return 0, fmt.Errorf("%q is not a duration such as 90d, 2w, 1y or 36h", text)
	}
	return d, nil
}

// parseLifetimes reads the values of --expires: a duration by role, which may be
// a delegation such as targets/releases.
func parseLifetimes(flags map[string]string) (repo.Lifetimes, error) {
	lives := repo.Lifetimes{}
	for name, text := range flags {
		role := repo.RoleFromNotary(name)
		known := slices.Contains(tuf.TopLevel, name) || role != name && repo.CheckDelegation(role) == nil
		life, err := parseLifetime(text)
		if err != nil || !known {
			return nil, usage("--expires timestamp=7d,targets/releases=30d", "--expires %s=%s is not a role and a time to come", name, text)
		}
		lives[role] = life
	}
	return lives, nil
}
