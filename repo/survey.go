package repo

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// A Survey is what lies in a collection's store and is no part of it.
type Survey struct {
	Lost      Garbage // what no timestamp of the last Keep leads to
	Old       Garbage // those of it that a Collector removes
	Strangers Garbage // what has no name that the layout gives
}

// A commit writes its slots within minutes before the timestamp, and a publish
// uploads for longer: what is younger may be in use in a moment.
const (
	settledSlot   = 10 * time.Minute
	settledTarget = time.Hour
)

// Survey looks for all that is no part of the collection, and changes nothing. It
// fails as Find does.
func (c *Collector) Survey(ctx context.Context) (*Survey, error) {
	reached, err := c.reach(ctx)
	if err != nil {
		return nil, err
	}
	s := &Survey{}
	for _, dir := range []string{MetadataDir(c.Collection) + "/", TargetsDir(c.Collection) + "/"} {
		for e, err := range c.Store.List(ctx, dir) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", dir, err)
			}
			if !reached[e.Key] {
				s.add(c, e)
			}
		}
	}
	return s, nil
}

// add files an object that nothing leads to.
func (s *Survey) add(c *Collector, e storage.Entry) {
	age := c.Now().Sub(e.Modified)
	switch kind := c.kindOf(e.Key); {
	case kind == stranger:
		s.Strangers = append(s.Strangers, e)
	case kind == standing, e.Modified.IsZero():
	case kind == slot && age > settledSlot, kind == target && age > settledTarget:
		s.Lost = append(s.Lost, e)
		if c.mayGo(e) {
			s.Old = append(s.Old, e)
		}
	}
}

// kind is what an object is by its name.
type kind int

const (
	stranger kind = iota
	standing      // there, whether anything leads to it or not
	slot
	target
)

func (c *Collector) kindOf(key string) kind {
	if key == TimestampKey(c.Collection) || key == GarbageKey(c.Collection) {
		return standing
	}
	if strings.HasPrefix(key, ProbeKey(c.Collection, "")) {
		return target // an upload may take as long as its probe
	}
	if name, ok := strings.CutPrefix(key, TargetsDir(c.Collection)+"/"); ok {
		sum, base, ok := strings.Cut(path.Base(name), ".")
		if ok && base != "" && isHex(sum) {
			return target
		}
		return stranger
	}
	role, _, ok := ParseSlot(strings.TrimPrefix(key, MetadataDir(c.Collection)+"/"))
	switch {
	case !ok, role == tuf.RoleTimestamp, strings.Contains(role, "/"):
		return stranger
	case role == tuf.RoleRoot:
		return standing
	}
	return slot
}

// isHex reports whether s is a SHA-256 or a SHA-512 as names have it.
func isHex(s string) bool {
	return (len(s) == 64 || len(s) == 128) && strings.Trim(s, "0123456789abcdef") == ""
}
