package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/ownertest"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys/sealed"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestConverge: events come once to three times, in any order, one in five not
// at all; requests fail, applied or not; instances die and forget everything; a
// second instance works in between any two requests of the first. Two sweeps
// later it is as if nothing had happened.
//
// Each seed is a subtest: -run 'TestConverge/seed_17$' runs one of them again.
func TestConverge(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 50
	}
	var total toll
	t.Run("all", func(t *testing.T) {
		for seed := range seeds {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				newStorm(t, uint64(seed), &total).run()
			})
		}
	})
	t.Logf("published, and refused as stale: %d", total.unsure.Load())
	t.Logf("put aside, as three instances died of it: %d", total.aside.Load())
	if n := total.aside.Load(); n > (total.committed.Load()+total.stale.Load())/50 {
		t.Errorf("%d submissions were put aside: that is more than die three times", n)
	}
	for what, n := range total.all() {
		t.Logf("%s: %d", what, n.Load())
		if n.Load() == 0 && total.seeds.Load() == int64(seeds) {
			t.Errorf("no %s: the test shows nothing of them", what)
		}
	}
}

// toll is what went wrong in all seeds, so that it is known to have.
type toll struct {
	seeds                                                                                atomic.Int64
	lost, deaths, preempted, dropped, repeated, committed, stale, renewed, unsure, aside atomic.Int64
}

func (n *toll) all() map[string]*atomic.Int64 {
	return map[string]*atomic.Int64{
		"failed requests": &n.lost, "deaths": &n.deaths, "runs in between": &n.preempted,
		"events dropped": &n.dropped, "events repeated": &n.repeated,
		"submissions committed": &n.committed, "submissions refused": &n.stale, "refreshes": &n.renewed,
	}
}

// storm is one or two collections, two publishers, two instances of the signer,
// and what happens to them.
type storm struct {
	t               *testing.T
	total           *toll
	now             time.Time
	public, private storage.Store // without faults, watched
	service         *service
	owners          []*ownertest.Owner // of each collection
	publishers      []*ownertest.Owner // they, and their colleagues
	left            []leaving

	mu        sync.Mutex // instances work in goroutines of their own
	dice      *rand.Rand
	events    []string
	instances [2]*instance
	nested    bool                     // an instance works in between requests of the other
	told      map[string]*repo.Receipt // what callers were answered, by submission
	before    map[string]bool          // the inbox when it began
}

// leaving is a submission that a publisher has left.
type leaving struct {
	collection, name, id, target string
}

// instance is a process that may die.
type instance struct {
	signer *lambda.Signer
	dead   bool
}

func newStorm(t *testing.T, seed uint64, total *toll) *storm {
	m := func(s *storm) storage.Store {
		m := storage.NewMemory()
		m.Now = func() time.Time { return s.now }
		return storagetest.Immutable(t, m)
	}
	s := &storm{
		t: t, total: total, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		service: &service{made: map[string][]byte{}}, dice: rand.New(rand.NewPCG(seed, 0)), told: map[string]*repo.Receipt{}, before: map[string]bool{},
	}
	s.public, s.private = m(s), m(s)
	for n := range 1 + s.dice.IntN(2) {
		s.found(fmt.Sprintf("example.com/scripts%d", n))
	}
	for key := range contents(t, s.private) {
		s.before[key] = true
	}
	s.instances = [2]*instance{s.boot(), s.boot()}
	return s
}

// found creates a collection with two publishers.
func (s *storm) found(collection string) {
	calm := s.signer(s.public, s.private)
	o := &ownertest.Owner{
		Collection: collection, Public: s.public, Inbox: s.private, Now: func() time.Time { return s.now },
		Invoke: func(ctx context.Context, event []byte) ([]byte, error) { return calm.Handle(ctx, event) },
	}
	if err := o.Create(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if _, err := o.Publish(s.t.Context(), map[string]string{"first": "1"}); err != nil {
		s.t.Fatal(err)
	}
	s.owners = append(s.owners, o)
	s.publishers = append(s.publishers, o, o.Colleague())
}

func (s *storm) signer(public, private storage.Store) *lambda.Signer {
	return &lambda.Signer{
		Public: public, Private: private, Keys: lambda.SealedKeys{Sealer: sealed.KMS{Keys: s.service}},
		Now: func() time.Time { return s.now }, Create: lambda.CreateBelow("example.com"), Bucket: "inbox",
	}
}

// boot starts an instance that knows nothing.
func (s *storm) boot() *instance {
	i := &instance{}
	hook := func(r storagetest.Request) storagetest.Fault { return s.strike(i, r.Method) }
	i.signer = s.signer(storagetest.NewFaults(s.public, hook).Store(), storagetest.NewFaults(s.private, hook).Store())
	return i
}

// roll is a number below n.
func (s *storm) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(n)
}

// strike decides what becomes of a request: one in 25 fails, one in 25 has the
// other instance handle a whole event first.
func (s *storm) strike(i *instance, method string) storagetest.Fault {
	s.mu.Lock()
	fate, kind := s.dice.IntN(50), s.dice.IntN(4)
	preempt := fate < 2 && !s.nested && !i.dead
	s.nested = s.nested || preempt
	fails := !i.dead && (fate == 2 || fate == 3)
	fault := storagetest.None
	switch {
	case i.dead:
		fault = storagetest.Lost
	case fails && kind == 0:
		i.dead = true
		fault = storagetest.Killed
	case fails && method == "PUT":
		fault = []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain}[kind-1]
	case fails:
		fault = storagetest.Lost
	}
	s.mu.Unlock()
	s.count(fails, fault)
	if preempt {
		s.total.preempted.Add(1)
		s.handle()
		s.mu.Lock()
		s.nested = false
		s.mu.Unlock()
	}
	return fault
}

func (s *storm) count(fails bool, f storagetest.Fault) {
	switch {
	case f == storagetest.Killed:
		s.total.deaths.Add(1)
	case fails:
		s.total.lost.Add(1)
	}
}

// run does a few things in any order, then lets the storm pass.
func (s *storm) run() {
	s.total.seeds.Add(1)
	for range 12 {
		switch n := s.roll(10); {
		case n < 4:
			s.leave(s.publishers[s.roll(len(s.publishers))])
		case n < 6:
			s.now = s.now.Add(time.Duration(1+s.roll(120)) * time.Hour)
			s.send(schedule)
		default:
			s.handle()
		}
	}
	for len(s.events) > 0 {
		s.handle()
	}
	s.wantWhole()
	s.wantConverged()
}

// leave has a publisher leave a submission, and tells the signer in one way or
// another.
func (s *storm) leave(by *ownertest.Owner) {
	target := fmt.Sprint("target ", len(s.left))
	name, id, err := by.Leave(s.t.Context(), map[string]string{target: "content of " + target})
	if err != nil {
		s.t.Fatal(err)
	}
	s.left = append(s.left, leaving{by.Collection, name, id, target})
	key := repo.SubmissionKey(by.Collection, name)
	record := records(s3Record("inbox", key, "ObjectCreated:Put"))
	s.send([]string{
		record, records(queued("1", record, 1)), bridged("inbox", key, "Object Created"),
		`{"action":"commit","collection":"` + by.Collection + `","submission":"` + name + `"}`,
	}[s.roll(4)])
}

// send puts an event on its way, one to three times, one in five of them lost.
func (s *storm) send(event string) {
	times := 1 + s.roll(3)
	s.total.repeated.Add(int64(times - 1))
	for range times {
		if s.roll(5) == 0 {
			s.total.dropped.Add(1)
			continue
		}
		s.events = append(s.events, event)
	}
}

// handle has an instance that is free handle any event.
func (s *storm) handle() {
	s.mu.Lock()
	if len(s.events) == 0 {
		s.mu.Unlock()
		return
	}
	at := s.dice.IntN(len(s.events))
	event := s.events[at]
	s.events = append(s.events[:at], s.events[at+1:]...)
	slot := 0
	if s.nested {
		slot = 1
	}
	i := s.instances[slot]
	s.mu.Unlock()
	answer, err := i.signer.Handle(s.t.Context(), []byte(event))
	if i.dead {
		s.instances[slot] = s.boot()
		return
	}
	if err == nil {
		s.note(answer)
	}
}

// note keeps a receipt that somebody was told: it must stand.
func (s *storm) note(answer []byte) {
	if !bytes.Contains(answer, []byte(`"submission"`)) {
		var c lambda.Counts
		if err := json.Unmarshal(answer, &c); err != nil {
			s.t.Errorf("answer %s: %v", answer, err)
		}
		s.total.renewed.Add(int64(c.Refreshed))
		return
	}
	r := &repo.Receipt{}
	if err := json.Unmarshal(answer, r); err != nil {
		s.t.Errorf("answer %s: %v", answer, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.told[r.Submission]; before != nil && !cmp.Equal(before, r) {
		s.t.Errorf("one submission, two answers: %s", cmp.Diff(before, r))
	}
	s.told[r.Submission] = r
}

// wantWhole wants what is published to be whole, if perhaps expired, in the
// middle of it all.
func (s *storm) wantWhole() {
	for _, o := range s.owners {
		for _, p := range s.check(o).Problems {
			if !strings.Contains(p.What, "it expired at") {
				s.t.Errorf("check: %s: %s", p.File, p.What)
			}
		}
	}
}

func (s *storm) check(o *ownertest.Owner) *repo.Checked {
	c := &repo.Checker{Source: s.public, Collection: o.Collection, Trusted: o.Root(), Now: s.now, Deep: true}
	found, err := c.Check(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// wantConverged sweeps twice and wants nothing to be left to do, nothing to be
// lost, and everything to go on.
func (s *storm) wantConverged() {
	// Until then work on a submission that instances died of may be under way.
	s.now = s.now.Add(time.Hour)
	calm := s.signer(s.public, s.private)
	s.sweep(calm)
	s.sweep(calm)
	private := contents(s.t, s.private)
	public := contents(s.t, s.public)
	if c := s.sweep(s.signer(s.public, s.private)); c.Committed+c.Refused+c.Refreshed+c.Failed > 0 {
		s.t.Errorf("a third sweep has still to do: %+v", c)
	}
	if !cmp.Equal(public, contents(s.t, s.public)) || !cmp.Equal(private, contents(s.t, s.private)) {
		s.t.Error("a third sweep still writes")
	}
	s.wantReceipts(private)
	for _, o := range s.owners {
		if found := s.check(o); len(found.Problems) > 0 {
			s.t.Errorf("check: %v", found.Problems)
		}
		if _, err := o.Publish(s.t.Context(), map[string]string{"after the storm": "1"}); err != nil {
			s.t.Errorf("publish after the storm: %v", err)
		}
	}
	s.wantPublished()
}

func (s *storm) sweep(calm *lambda.Signer) (c lambda.Counts) {
	answer, err := calm.Handle(s.t.Context(), []byte(schedule))
	if err == nil {
		err = json.Unmarshal(answer, &c)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.total.renewed.Add(int64(c.Refreshed))
	return c
}

// wantReceipts wants one receipt for each submission, no other, and no
// submission left.
func (s *storm) wantReceipts(private map[string]string) {
	receipts := map[string]bool{}
	for key := range private {
		switch p, _ := repo.ParsePrivate(key); {
		case p.Kind == "receipts" && !s.before[key]:
			receipts[key] = true
		case strings.HasPrefix(p.Name, "quarantine/"):
			// One that instances died of: wantPublished counts its receipt.
		case p.Kind == "submissions" || strings.HasPrefix(key, repo.SignerDir+"attempts/"):
			s.t.Errorf("%s is still there", key)
		}
	}
	for _, l := range s.left {
		r, err := repo.Inbox{Store: s.private, Collection: l.collection}.Receipt(s.t.Context(), l.id)
		if err != nil {
			s.t.Errorf("%s: %v", l.target, err)
			continue
		}
		if told := s.told[l.id]; told != nil && !cmp.Equal(told, r) {
			s.t.Errorf("%s: the receipt is not what was answered: %s", l.target, cmp.Diff(told, r))
		}
		delete(receipts, repo.ReceiptKey(l.collection, l.id))
	}
	for key := range receipts {
		s.t.Errorf("%s answers nobody", key)
	}
}

// wantPublished wants every target whose submission was not refused, and none
// refused for another reason than that somebody else was faster.
func (s *storm) wantPublished() {
	listed := map[string]map[string]bool{}
	for _, o := range s.owners {
		listed[o.Collection] = s.list(o)
	}
	for _, l := range s.left {
		r, err := repo.Inbox{Store: s.private, Collection: l.collection}.Receipt(s.t.Context(), l.id)
		switch there := listed[l.collection][l.target]; {
		case err != nil:
		case r.Refused == nil && !there:
			s.t.Errorf("%s was committed and is lost", l.target)
		case r.Refused == nil:
			s.total.committed.Add(1)
		case strings.Contains(r.Refused.Error, "has put it aside"):
			s.total.aside.Add(1)
		case r.Refused.Kind != "stale" && r.Refused.Kind != "burned":
			s.t.Errorf("%s was refused: %+v", l.target, r.Refused)
		case there:
			s.total.unsure.Add(1)
		default:
			s.total.stale.Add(1)
		}
	}
}

// list is the names of the targets that a client sees.
func (s *storm) list(o *ownertest.Owner) map[string]bool {
	l := &repo.Loader{Source: s.public, Collection: o.Collection, Cache: memory{"root.json": o.Root()}, Now: s.now}
	v, err := l.Load(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	all, err := v.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, target := range all {
		names[target.Name] = true
	}
	return names
}

// memory is a repo.Cache.
type memory map[string][]byte

func (m memory) Get(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Put(name string, data []byte) error {
	m[name] = data
	return nil
}

func (m memory) Replace(name string, old, data []byte) (bool, error) {
	if !bytes.Equal(m[name], old) {
		return false, nil
	}
	return true, m.Put(name, data)
}
