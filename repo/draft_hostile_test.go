package repo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// asDraft is a submission as a hostile hand writes it into a draft.
func asDraft(sub *repo.Submission) string {
	var files []string
	for _, role := range slices.Sorted(maps.Keys(sub.Files)) {
		files = append(files, quoted(role)+":"+quoted(string(sub.Files[role])))
	}
	return `{"draft":1,"collection":` + quoted(sub.Collection) + `,"files":{` + strings.Join(files, ",") + `}}`
}

// quoted keeps bytes that are no text.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\x00", `\u0000`).Replace(s) + `"`
}

// TestDraftsRefused: what commit refuses, whoever signed it, nobody is asked to
// sign, and with the same words. Where it is signatures that commit misses, they
// are missing in the draft.
func TestDraftsRefused(t *testing.T) {
	w := family(t)
	for _, row := range forge.All() {
		if row.Name == "signed something else" {
			row.Want = "has 3 bytes in the store, not 4" // which is looked at before signatures
		}
		t.Run(row.Name, func(t *testing.T) {
			f := newForge(t, w)
			row.Break(f.Forge)
			f.Upload()
			before := objects(t, f.store)
			d, err := repo.ParseDraft([]byte(asDraft(f.Submission())))
			var r *repo.Review
			if err == nil {
				r, err = f.view().Review(t.Context(), d, f.store, f.now)
			}
			switch {
			case err != nil && !strings.Contains(err.Error(), row.Want):
				t.Errorf("the error is %q, without %q", err, row.Want)
			case err == nil && len(r.Missing()) == 0:
				t.Error("it lacks nothing")
			}
			if err == nil {
				if _, err := f.publisher().PublishDraft(t.Context(), r); !errors.As(err, new(*repo.DraftError)) {
					t.Errorf("publishing says %v", err)
				}
			}
			if len(objects(t, f.store)) != len(before) {
				t.Error("something was written")
			}
		})
	}
}

// TestParseDraftRefuses: what is no draft at all.
func TestParseDraftRefuses(t *testing.T) {
	c := newCeremony(t)
	draft := c.mustDraft(c.as(0), add("a", "1"))
	good, err := draft.Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("no %s in the draft", old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	many := func(n int, entry string) string {
		return strings.TrimSuffix(strings.Repeat(entry+",", n), ",")
	}
	named := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	for name, test := range map[string]struct{ text, want string }{
		"nothing":           {"", "EOF"},
		"no JSON":           {"draft", "invalid character"},
		"null":              {"null", "null where"},
		"no files":          {`{"draft":1,"collection":"example.com/a","files":{}}`, "no files"},
		"null file":         {`{"draft":1,"collection":"example.com/a","files":{"targets":null}}`, "null where"},
		"another format":    {change(`"draft": 1`, `"draft": 2`), "format 2"},
		"more fields":       {change(`"draft": 1`, `"draft": 1, "sign": true`), "unknown"},
		"twice":             {change(`"draft": 1`, `"draft": 1, "draft": 1`), "duplicate"},
		"in another case":   {change(`"draft": 1`, `"draft": 1, "Files": {}`), "only in case"},
		"trailing bytes":    {string(good) + "x", "after the end"},
		"no collection":     {change(`"collection": "`+collection+`"`, `"collection": "../x"`), "not a collection name"},
		"a snapshot":        {change(`"targets":`, `"snapshot":`), "made by commit itself"},
		"a path for a role": {change(`"targets":`, `"../targets":`), "role name"},
		"a long role":       {change(`"targets":`, `"`+strings.Repeat("a", 200)+`":`), "200 characters"},
		"many files":        {`{"draft":1,"collection":"example.com/a","files":{` + named(300, `"r%d":""`) + `}}`, "300 roles"},
		"much published":    {`{"draft":1,"collection":"example.com/a","files":{"targets":""},"base":{` + named(5000, `"%d.root.json":""`) + `}}`, "carries 5000 published files"},
		"many signatures":   {`{"draft":1,"collection":"example.com/a","files":{"targets":""},"signatures":[` + many(5000, `{"role":"targets","keyid":"x","sig":"x"}`) + `]}`, "5000 signatures"},
		"null signature":    {`{"draft":1,"collection":"example.com/a","files":{"targets":""},"signatures":[null]}`, "null where"},
		"an empty file":     {`{"draft":1,"collection":"example.com/a","files":{"targets":""}}`, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := repo.ParseDraft([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, without %q", err, test.want)
			}
		})
	}
}

// TestReviewSifts: signatures that are not good, of nobody who may sign, or of
// what somebody else says, do not count and are told; nothing that lies beside
// the good ones keeps them from counting.
func TestReviewSifts(t *testing.T) {
	c := newCeremony(t)
	draft := travel(t, c.mustDraft(c.as(0), add("a", "1")))
	signed := c.mustReview(draft)
	if _, err := signed.Sign(t.Context(), c.people[1], ""); err != nil {
		t.Fatal(err)
	}
	good := travel(t, signed.Draft)
	other := c.mustDraft(c.as(1), add("b", "2"))
	if err := draft.Merge(other); err == nil {
		t.Error("signatures of another draft were taken")
	}
	root := c.view0().Signed
	keys := root.Roles[tuf.RoleTargets].KeyIDs
	for _, id := range keys {
		for _, sig := range []string{"", "zz", strings.Repeat("00", 64)} {
			draft.Signatures = append(draft.Signatures, repo.Signature{Role: tuf.RoleTargets, KeyID: id, Sig: sig})
		}
	}
	draft.Signatures = append(draft.Signatures,
		repo.Signature{Role: tuf.RoleTargets, KeyID: root.Roles[tuf.RoleTimestamp].KeyIDs[0], Sig: "00"},
		repo.Signature{Role: tuf.RoleTargets, KeyID: "no key", Sig: "00"},
		repo.Signature{Role: "releases", KeyID: keys[0], Sig: "00"})
	r := c.mustReview(travel(t, draft))
	if len(r.Missing()) != 1 || len(r.Roles[0].Signed) != 1 {
		t.Errorf("signed by %v, missing %v", r.Roles[0].Signed, r.Missing())
	}
	if len(r.Ignored) == 0 {
		t.Error("what was ignored is not told")
	}
	if err := draft.Merge(good); err != nil {
		t.Fatal(err)
	}
	r = c.mustReview(travel(t, draft))
	if missing := r.Missing(); len(missing) != 0 {
		t.Fatalf("the good signature was lost: %v", missing)
	}
	if _, err := c.as(2).PublishDraft(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.mustBeClean()
}

// view0 is the first root.
func (c *ceremony) view0() *tuf.File[tuf.Root] {
	c.t.Helper()
	f, err := tuf.Parse[tuf.Root](c.root, repo.MaxRoot)
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// TestReviewDead: a draft that somebody else's publish has overtaken, or that has
// expired, is dead.
func TestReviewDead(t *testing.T) {
	c := newCeremony(t)
	draft := c.mustDraft(c.as(0), add("a", "1"))
	old := c.now
	c.now = c.now.Add(366 * 24 * time.Hour)
	if _, err := c.review(draft); !errors.As(err, new(*repo.Rejection)) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired draft: %v", err)
	}
	c.now = old
	theirs := c.mustDraft(c.as(2), add("b", "2"))
	if _, err := c.as(1, theirs).Publish(t.Context(), []repo.Change{add("b", "2")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.review(draft); !errors.Is(err, repo.ErrPublished) && !errors.As(err, new(*repo.StaleError)) {
		t.Errorf("an overtaken first draft: %v", err)
	}
	next := c.mustDraft(c.as(0), add("a", "1"))
	theirs = c.mustDraft(c.as(2), remove("b"))
	if _, err := c.as(1, theirs).Publish(t.Context(), []repo.Change{remove("b")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.review(next); !errors.As(err, new(*repo.StaleError)) {
		t.Errorf("an overtaken draft: %v", err)
	}
	// Published, and built upon since: it is known as such.
	if _, err := c.review(theirs); !errors.Is(err, repo.ErrDraftPublished) {
		t.Errorf("a published draft: %v", err)
	}
	again := c.mustDraft(c.as(0), add("c", "3"))
	if _, err := c.as(1, again).Publish(t.Context(), []repo.Change{add("c", "3")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.review(theirs); !errors.Is(err, repo.ErrDraftPublished) {
		t.Errorf("a published draft, one version later: %v", err)
	}
}

// TestCarriedRefuses: what a draft says is published is believed no more than
// what a mirror says.
func TestCarriedRefuses(t *testing.T) {
	c := newCeremony(t)
	first := c.mustDraft(c.as(0), add("a", "1"))
	if _, err := c.as(1, first).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
		t.Fatal(err)
	}
	draft := c.mustDraft(c.as(0), add("b", "2"))
	if err := c.writersView().Carry(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	stranger := newCeremony(t)
	for name, change := range map[string]func(base map[string][]byte){
		"no timestamp": func(base map[string][]byte) { delete(base, "timestamp.json") },
		"no targets":   func(base map[string][]byte) { delete(base, "1.targets.json") },
		"other bytes":  func(base map[string][]byte) { base["1.targets.json"] = append(base["1.targets.json"], ' ') },
		"garbage":      func(base map[string][]byte) { base["1.snapshot.json"] = []byte("{}") },
		"another root": func(base map[string][]byte) { base["2.root.json"] = stranger.root },
	} {
		t.Run(name, func(t *testing.T) {
			d := travel(t, draft)
			change(d.Base)
			v, err := d.Carried(t.Context(), c.newCache(), c.now)
			if err == nil {
				_, err = v.Review(t.Context(), d, nil, c.now)
			}
			if err == nil {
				t.Error("it was shown for signing")
			}
		})
	}
	if _, err := draft.Carried(t.Context(), stranger.newCache(), c.now); err == nil {
		t.Error("it was believed from another root")
	}
	if _, err := draft.Carried(t.Context(), memoryCache{}, c.now); !errors.Is(err, repo.ErrNoRoot) {
		t.Errorf("it was believed from no root: %v", err)
	}
}

// TestShared: a draft in the inbox is what was put there, with the signatures
// that are there; nothing that others put beside them does harm.
func TestShared(t *testing.T) {
	c := newCeremony(t)
	draft := c.mustDraft(c.as(0), add("a", "1"))
	store := storage.NewMemory()
	box := repo.Inbox{Store: store, Collection: collection}
	for range 2 {
		if err := box.Share(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	for _, junk := range []struct{ key, text string }{
		{repo.DraftSignatureKey(collection, draft.ID(), strings.Repeat("0", 64)), "junk"},
		{repo.DraftSignatureKey(collection, draft.ID(), strings.Repeat("1", 64)), strings.Repeat("x", 1<<20)},
		{repo.DraftSignatureKey(collection, draft.ID(), strings.Repeat("2", 64)), `{"role":"targets","keyid":"x","sig":"00"}`},
		{repo.DraftKey(collection, strings.Repeat("3", 64)), "junk"},
		{repo.DraftsDir(collection) + "junk", "junk"},
	} {
		if _, err := store.Put(t.Context(), junk.key, strings.NewReader(junk.text), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	shared, err := box.SharedDraft(t.Context(), draft.ID())
	if err != nil {
		t.Fatal(err)
	}
	r := c.mustReview(shared)
	if len(r.Roles[0].Signed) != 1 || len(r.Ignored) != 1 {
		t.Errorf("signed by %v, ignored %v", r.Roles[0].Signed, r.Ignored)
	}
	if _, err := r.Sign(t.Context(), c.people[1], ""); err != nil {
		t.Fatal(err)
	}
	if err := box.Share(t.Context(), r.Draft); err != nil {
		t.Fatal(err)
	}
	if shared, err = box.SharedDraft(t.Context(), draft.ID()); err != nil {
		t.Fatal(err)
	}
	if missing := c.mustReview(shared).Missing(); len(missing) != 0 {
		t.Errorf("missing: %v", missing)
	}
	if _, err := box.SharedDraft(t.Context(), strings.Repeat("3", 64)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("junk: %v", err)
	}
	if _, err := box.SharedDraft(t.Context(), "../x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path: %v", err)
	}
	if err := box.Withdraw(t.Context(), draft.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := box.SharedDraft(t.Context(), draft.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was discarded: %v", err)
	}
}

// createOnly is a store in which nothing can be deleted.
type createOnly struct{ storage.Store }

// TestSharedWithdrawn: where nobody may delete, a draft that was discarded is
// gone all the same.
func TestSharedWithdrawn(t *testing.T) {
	c := newCeremony(t)
	draft := c.mustDraft(c.as(0), add("a", "1"))
	box := repo.Inbox{Store: createOnly{storage.NewMemory()}, Collection: collection}
	if err := errors.Join(box.Share(t.Context(), draft), box.Tidy(t.Context(), draft.ID())); err != nil {
		t.Fatal(err)
	}
	if _, err := box.SharedDraft(t.Context(), draft.ID()); err != nil {
		t.Errorf("it was published, and is gone where nobody may delete: %v", err)
	}
	if err := box.Withdraw(t.Context(), draft.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := box.SharedDraft(t.Context(), draft.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was discarded: %v", err)
	}
}

// TestReviewTellsAll: whatever a draft changes, in words or as it stands, those
// who sign it are told.
func TestReviewTellsAll(t *testing.T) {
	w := family(t)
	first := func(f *forger) object { return f.At("targets", "delegations")["roles"].([]any)[0].(object) }
	for name, test := range map[string]struct {
		edit  func(f *forger)
		other string // the field that is told as it stands
	}{
		"nothing":            {edit: func(*forger) {}},
		"in targets":         {func(f *forger) { f.At("targets")["later"] = object{"a": 1} }, "later"},
		"in x-publisher":     {func(f *forger) { f.At("targets", "x-publisher")["later"] = true }, "x-publisher.later"},
		"in delegations":     {func(f *forger) { f.At("targets", "delegations")["later"] = "x" }, "delegations.later"},
		"an empty object":    {func(f *forger) { f.At("targets")["later"] = object{} }, "later"},
		"in root":            {func(f *forger) { f.At("root")["later"] = "x" }, "later"},
		"in a delegation":    {func(f *forger) { first(f)["later"] = "x" }, "delegations.roles.ci.later"},
		"in a target":        {func(f *forger) { f.At("targets", "targets", "old")["later"] = "x" }, "targets.old.later"},
		"a key of no role":   {func(f *forger) { f.Key(f.At("targets", "delegations", "keys")) }, "delegations.keys."},
		"a key of no use":    {func(f *forger) { f.Key(f.At("root", "keys")) }, "keys."},
		"in a root's role":   {func(f *forger) { f.At("root", "roles", "targets")["later"] = "x" }, "roles.targets.later"},
		"refresh in a root":  {func(f *forger) { f.At("root", "x-publisher")["refresh_after"] = "2400-01-01T00:00:00Z" }, "x-publisher.refresh_after"},
		"restart in targets": {func(f *forger) { f.At("targets", "x-publisher")["restart"] = object{"timestamp": 3} }, "x-publisher.restart.timestamp"},
		"lives in targets":   {func(f *forger) { f.At("targets", "x-publisher")["lifetimes"] = object{"timestamp": 3} }, "x-publisher.lifetimes.timestamp"},
		"grace in targets":   {func(f *forger) { f.At("targets", "x-publisher")["grace_until"] = "2030-01-01T00:00:00Z" }, "x-publisher.grace_until"},
		"initial of nobody":  {func(f *forger) { f.At("targets", "x-publisher")["initial"] = object{"zzz": []any{"a"}} }, "x-publisher.initial.zzz"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			for _, role := range reviewOf(t, w, test.edit).Roles {
				for _, f := range role.Other {
					told = append(told, f.Field)
				}
			}
			strange := func(field string) bool { return !strings.HasPrefix(field, test.other) }
			if (len(told) == 0) != (test.other == "") || slices.ContainsFunc(told, strange) {
				t.Errorf("told: %q", told)
			}
		})
	}
}

// reviewOf is the review of a draft that a hostile hand has edited.
func reviewOf(t *testing.T, w *world, edit func(f *forger)) *repo.Review {
	t.Helper()
	f := newForge(t, w)
	edit(f)
	f.Upload()
	d, err := repo.ParseDraft([]byte(asDraft(f.Submission())))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.view().Review(t.Context(), d, f.store, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReviewRootTerms: a recovery and a grace are told, those of a root that has
// none are not.
func TestReviewRootTerms(t *testing.T) {
	w := family(t)
	restart := map[string]int64{tuf.RoleTimestamp: 1, tuf.RoleSnapshot: 1}
	until := w.now.Add(23 * time.Hour).UTC().Truncate(time.Second)
	r := reviewOf(t, w, func(f *forger) {
		f.At("root", "x-publisher")["restart"] = object{tuf.RoleTimestamp: 1, tuf.RoleSnapshot: 1}
		f.At("root", "x-publisher")["grace_until"] = until.Format(time.RFC3339)
		for role := range restart {
			f.At("root", "roles", role)["keyids"] = []any{f.Key(f.At("root", "keys"))}
		}
	})
	d := r.Roles[0].Difference
	if !maps.Equal(d.Restart, restart) || !d.GraceUntil.Equal(until) || len(r.Roles[0].Other) > 0 {
		t.Errorf("told: %+v, other %v", d, r.Roles[0].Other)
	}
	if d := reviewOf(t, w, func(*forger) {}).Roles[0].Difference; len(d.Restart) > 0 || !d.GraceUntil.IsZero() {
		t.Errorf("told of a root without: %+v", d)
	}
}

// TestReviewInitial: that a key is for a first version only, so that its
// signature counts for nobody's, is told also of one that was there before.
func TestReviewInitial(t *testing.T) {
	var id string
	r := reviewOf(t, family(t), func(f *forger) {
		id = f.At("targets", "delegations")["roles"].([]any)[0].(object)["keyids"].([]any)[0].(string)
		f.At("targets", "x-publisher")["initial"] = object{"ci": []any{id}}
	})
	i := slices.IndexFunc(r.Roles, func(role repo.RoleReview) bool { return role.Role == tuf.RoleTargets })
	roles := r.Roles[i].Difference.Roles
	if len(roles) != 1 || roles[0].Role != "ci" || !slices.Equal(roles[0].Initial, []string{id}) {
		t.Errorf("told: %+v", roles)
	}
}

// TestReviewPosition: where a new delegation stands is told: one before others
// takes targets from them.
func TestReviewPosition(t *testing.T) {
	for _, first := range []bool{false, true} {
		r := reviewOf(t, family(t), func(f *forger) {
			d := f.Delegate("targets", "x", "*")
			d["terminating"] = true
			f.Role(d)
			above := f.At("targets", "delegations")
			if roles := above["roles"].([]any); first {
				last := len(roles) - 1
				above["roles"] = slices.Concat(roles[last:], roles[:last])
			}
		})
		i := slices.IndexFunc(r.Roles, func(role repo.RoleReview) bool { return role.Role == tuf.RoleTargets })
		roles := r.Roles[i].Difference.Roles
		want := map[bool]string{true: "ci"}[first]
		if len(roles) != 1 || roles[0].Before != want || !*roles[0].Terminating {
			t.Errorf("first %t: %+v", first, roles)
		}
	}
}
