package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// A roleExpiry is until when a role's signatures last, and where the keys are
// that can renew them.
type roleExpiry struct {
	repo.Expiry
	Keys []placedKey `json:"keys"`
	Due  bool        `json:"due"` // less than a third of its life is left
}

// A placedKey is a key, and where its private half is.
type placedKey struct {
	KeyID string `json:"keyid"`
	Place string `json:"place"` // here, online or elsewhere
}

const (
	placeHere      = "here"
	placeOnline    = "online"
	placeElsewhere = "elsewhere"
)

// expiries tells of every role of a collection.
func (a *app) expiries(ctx context.Context, v *repo.View, s trust.Settings) ([]roleExpiry, error) {
	all, err := v.Expiries(ctx)
	if err != nil {
		return nil, err
	}
	return a.withKeys(all, s)
}

// withKeys adds where the keys are.
func (a *app) withKeys(all []repo.Expiry, s trust.Settings) ([]roleExpiry, error) {
	held, err := a.heldIDs()
	if err != nil {
		return nil, err
	}
	list := make([]roleExpiry, len(all))
	for i, e := range all {
		list[i] = roleExpiry{Expiry: e, Due: e.Due(a.now())}
		for _, id := range e.KeyIDs {
			key := placedKey{id, placeElsewhere}
			switch {
			case held[id]:
				key.Place = placeHere
			case s.Online != "" && isOnlineRole(e.Role):
				key.Place = placeOnline
			}
			list[i].Keys = append(list[i].Keys, key)
		}
		list[i].Role = repo.RoleToNotary(e.Role)
	}
	return list, nil
}

// isOnlineRole reports a role that a refresh renews.
func isOnlineRole(role string) bool { return role == tuf.RoleSnapshot || role == tuf.RoleTimestamp }

// at counts the keys that are in a place.
func (e roleExpiry) at(place string) int {
	n := 0
	for _, k := range e.Keys {
		if k.Place == place {
			n++
		}
	}
	return n
}

// renewal is what to do so that the role is signed again.
func (e roleExpiry) renewal(collection string) string {
	way := renewal(collection, e.Role)
	switch have := int64(e.at(placeHere)); {
	case e.Waiting || isOnlineRole(e.Role) || have >= e.Threshold:
		return way
	case have > 0:
		return fmt.Sprintf("%s, then have %d more of its keys sign", way, e.Threshold-have)
	}
	return "its keys are elsewhere: ask who holds them to run " + way
}

// renewal is how a role of a collection is signed again by who holds its keys.
func renewal(collection, role string) string {
	switch role {
	case tuf.RoleSnapshot, tuf.RoleTimestamp:
		return "publisher refresh " + collection
	case tuf.RoleRoot:
		return "publisher root " + collection + " --renew"
	}
	return "publisher publish " + collection
}

// warnDue warns of roles in the last third of their life.
func (a *app) warnDue(collection string, all []roleExpiry) {
	for _, e := range all {
		if e.Due {
			a.warnf("%s: %s %s: %s", collection, e.Role, expiry(e.Expires.Sub(a.now())), e.renewal(collection))
		}
	}
}

// warnExpiring warns, as far as is known here without a look at the store, of
// the roles that no refresh renews.
func (a *app) warnExpiring(name string) {
	c := a.trust.Collection(name)
	settings, err := c.Settings()
	if err != nil {
		return // there is nothing to go by, and who called has done its work
	}
	if all, err := a.withKeys(repo.KnownExpiries(c.Cache()), settings); err == nil {
		a.warnDue(name, all)
	}
}

// checkWithin fails if a role expires before it should: the one that expires
// first is named.
func (a *app) checkWithin(s state, within time.Duration) error {
	if within == 0 {
		return nil
	}
	if !s.Published {
		return fmt.Errorf("%s: %w", s.Collection, repo.ErrNotPublished)
	}
	var first *roleExpiry
	for i, e := range s.Expiries {
		if e.Version > 0 && (first == nil || e.Expires.Before(first.Expires)) {
			first = &s.Expiries[i]
		}
	}
	left := first.Expires.Sub(a.now())
	if left > within {
		return nil
	}
	return &cliError{
		err:  fmt.Errorf("%s %s, at %s", first.Role, expiry(left), first.Expires.Format(time.RFC3339)),
		hint: first.renewal(s.Collection),
		code: exitExpiring,
	}
}

func (a *app) printExpiries(w io.Writer, all []roleExpiry) error {
	rows := make([][]string, len(all))
	for i, e := range all {
		version, expires, in := "-", "not published", ""
		if e.Version > 0 {
			version, expires, in = strconv.FormatInt(e.Version, 10), e.Expires.Format(time.RFC3339), a.inDays(e.Expires)
		}
		if e.Waiting {
			in += ", waits for its people"
		}
		rows[i] = []string{printable(e.Role), version, expires, in, fmt.Sprintf("%d of %d", e.Threshold, len(e.Keys)), e.places()}
	}
	return printTable(w, []string{"ROLE", "VERSION", "EXPIRES", "", "MUST SIGN", "KEYS"}, rows)
}

// places is the keys, by where they are.
func (e roleExpiry) places() string {
	var all []string
	for _, k := range e.Keys {
		all = append(all, printable(tuf.ShortID(k.KeyID))+" "+k.Place)
	}
	return strings.Join(all, ", ")
}

// inDays says how far away a time is.
func (a *app) inDays(at time.Time) string {
	if left := at.Sub(a.now()); left > 0 {
		return "in " + days(left)
	}
	return days(a.now().Sub(at)) + " ago"
}

// expiry says when something expires that has so much time left.
func expiry(left time.Duration) string {
	if left <= 0 {
		return "expired " + days(-left) + " ago"
	}
	return "expires in " + days(left)
}

// days is a duration as people plan with it.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return counted(int(d.Hours()/24), "day")
}
