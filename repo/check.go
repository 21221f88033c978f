package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Problem is one broken promise of a published collection.
type Problem struct {
	File string `json:"file"` // below the collection
	What string `json:"what"`

	// Expired is the role that is past its expiry, if it is that.
	Expired string `json:"expired,omitempty"`

	// Access says that the file could not be read: nothing is known of it.
	Access bool `json:"access,omitempty"`
}

// Checked is what Check found.
type Checked struct {
	Problems []Problem        `json:"problems"`
	Versions map[string]int64 `json:"versions"` // of the roles that were found
	Targets  int              `json:"targets"`  // objects that were looked at
}

// A Checker proves those invariants of a collection that can be seen in what is
// published, from its first root to its last target, as the design lists them.
type Checker struct {
	Source     storage.Getter
	Collection string
	Trusted    []byte // the newest root known to be right
	Timestamp  []byte // the one verified last, behind which the store must not fall, nil for none
	Snapshot   []byte // likewise
	Now        time.Time
	Deep       bool    // read every target and hash it
	Sample     *Sample // if set, look at so much of the targets, and read it

	mu       sync.Mutex
	answered bool  // something could be read
	denied   int   // files that could not
	cause    error // of the last of those

	found   Checked
	roots   []*tuf.File[tuf.Root]
	general bool                      // see profile
	listed  map[string]tuf.TargetFile // by object key
	names   map[string]string         // of the targets in listed
	damaged map[string]bool           // files of which no more need be said
}

// Check reports every promise that is broken; it goes on behind each as far as
// it can. A file that cannot be read is a Problem too, one of Access. The error is
// of the way to the store, where nothing can be read.
func (c *Checker) Check(ctx context.Context) (*Checked, error) {
	c.found = Checked{Versions: map[string]int64{}, Problems: []Problem{}}
	c.listed, c.names, c.damaged = map[string]tuf.TargetFile{}, map[string]string{}, map[string]bool{}
	c.roots, c.answered, c.denied, c.cause = nil, false, 0, nil
	steps := []func(context.Context) error{c.checkRoots, c.checkMetadata, c.checkTargets}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			if err = c.gaveUp(err); err != nil {
				return nil, err
			}
			break
		}
	}
	if !c.answered && c.cause != nil {
		return nil, c.cause
	}
	slices.SortFunc(c.found.Problems, func(a, b Problem) int {
		return strings.Compare(a.File+a.What, b.File+b.What)
	})
	return &c.found, nil
}

// problem notes a broken promise, if err is one.
func (c *Checker) problem(file string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || c.damaged[file] {
		return
	}
	var v *VerifyError
	if errors.As(err, &v) {
		err = v.Err
	}
	p := Problem{File: file, What: err.Error()}
	if o, ok := errors.AsType[*overdueError](err); ok {
		p.Expired = o.role
	}
	c.found.Problems = append(c.found.Problems, p)
}

// read returns nil, after noting why, for a file that is not there or too
// large. One that is damaged in the store is noted, and judged by what came: what
// it lists is looked at too.
func (c *Checker) read(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := c.get(ctx, MetadataDir(c.Collection)+"/"+name, max)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		c.heard()
		err = errors.New("it is missing")
	case errors.Is(err, storage.ErrDamaged):
		c.heard()
		c.problem("metadata/"+name, storage.ErrDamaged)
		c.damaged["metadata/"+name] = true
		return data, nil
	case errors.Is(err, storage.ErrTooLarge), errors.Is(err, io.ErrUnexpectedEOF):
		c.heard()
	default:
		return nil, c.unreadable(ctx, "metadata/"+name, err)
	}
	c.problem("metadata/"+name, err)
	return nil, nil
}

// checkRoots: roots 1…N are contiguous, each signed by the one before it, and
// the trusted one is among them.
func (c *Checker) checkRoots(ctx context.Context) error {
	trusted, err := tuf.Parse[tuf.Root](c.Trusted, MaxRoot)
	if err != nil {
		return unverified("the trusted root", err)
	}
	c.general = isForeign(&trusted.Signed)
	last := trusted.Signed.Version // slot that was looked at
	for n := c.firstRoot(ctx, trusted); n <= trusted.Signed.Version; n++ {
		if _, err := c.checkRoot(ctx, n, trusted); err != nil {
			return err
		}
	}
	for range maxRoots {
		there, fine, err := c.checkNext(ctx, last+1, trusted)
		if err != nil {
			return err
		}
		if there {
			last++
		}
		if !fine {
			break
		}
	}
	if len(c.roots) == 0 {
		c.roots = append(c.roots, trusted)
	}
	newest := c.roots[len(c.roots)-1]
	c.found.Versions[tuf.RoleRoot] = newest.Signed.Version
	c.problem("metadata/"+SlotName(tuf.RoleRoot, newest.Signed.Version), c.expired(tuf.RoleRoot, newest.Head()))
	return c.checkGap(ctx, last)
}

// checkNext checks a root newer than the trusted one, if it is there. No client
// goes on behind one that is not fine.
func (c *Checker) checkNext(ctx context.Context, n int64, trusted *tuf.File[tuf.Root]) (there, fine bool, err error) {
	_, err = storage.Stat(ctx, c.Source, SlotKey(c.Collection, tuf.RoleRoot, n))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case err != nil:
		return false, false, c.unreadable(ctx, "metadata/"+SlotName(tuf.RoleRoot, n), err)
	}
	fine, err = c.checkRoot(ctx, n, trusted)
	return true, fine, err
}

// checkGap looks for roots behind the end of the chain, where they can be
// listed: clients stop at the first that is missing.
func (c *Checker) checkGap(ctx context.Context, last int64) error {
	lister, ok := c.Source.(interface {
		List(context.Context, string) iter.Seq2[storage.Entry, error]
	})
	if !ok {
		return nil
	}
	for e, err := range lister.List(ctx, MetadataDir(c.Collection)+"/") {
		if err != nil {
			return c.unreadable(ctx, "metadata", err)
		}
		role, n, ok := ParseSlot(path.Base(e.Key))
		if ok && role == tuf.RoleRoot && n > last {
			c.problem("metadata/"+path.Base(e.Key), fmt.Errorf("no client finds it: the chain of roots ends at %d", last))
		}
	}
	return nil
}

// checkRoot reports whether root n is there and as it should be.
func (c *Checker) checkRoot(ctx context.Context, n int64, trusted *tuf.File[tuf.Root]) (bool, error) {
	name := SlotName(tuf.RoleRoot, n)
	data, err := c.read(ctx, name, MaxRoot)
	if data == nil {
		return false, err
	}
	root, err := parseChecked[tuf.Root](c, data, MaxRoot)
	if root == nil {
		c.problem("metadata/"+name, err)
		return false, nil
	}
	problems := []error{err, checkVersioned(root), c.profile(checkRoot(root)), verifyTop(root, tuf.RoleRoot, root)}
	if root.Signed.Version != n {
		problems = append(problems, fmt.Errorf("it says version %d", root.Signed.Version))
	}
	if n == trusted.Signed.Version && hexSum(data) != trusted.SHA256() {
		problems = append(problems, errors.New("it is not the trusted root"))
	}
	if len(c.roots) > 0 {
		if before := c.roots[len(c.roots)-1]; before.Signed.Version == n-1 {
			problems = append(problems, verifySuccessor(before, root))
		}
	}
	c.roots = append(c.roots, root)
	return c.problems("metadata/"+name, problems), nil
}

// problems notes the first of several: what is broken in one way is often
// broken in others that follow. It reports whether there is none.
func (c *Checker) problems(file string, errs []error) bool {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i >= 0 {
		c.problem(file, errs[i])
	}
	return i < 0
}

// expired is judged by the clock of who checks.
func (c *Checker) expired(role string, head *tuf.Common) error {
	if c.Now.Before(head.Expires) {
		return nil
	}
	return &overdueError{role, head.Expires}
}

// An overdueError is an ExpiredError where the file was named before.
type overdueError struct {
	role string
	at   time.Time
}

func (e *overdueError) Error() string { return "it expired at " + e.at.Format(time.RFC3339) }

// checkMetadata: timestamp names a snapshot, the snapshot every role, and all
// of them verify under the newest root, also for a stock client.
func (c *Checker) checkMetadata(ctx context.Context) error {
	root := c.roots[len(c.roots)-1]
	stock := &stockView{roots: [][]byte{root.Bytes()}}
	data, err := c.read(ctx, "timestamp.json", MaxTimestamp)
	if data == nil {
		return err
	}
	ts := checkFile[tuf.Timestamp](c, "timestamp.json", data, root, tuf.RoleTimestamp)
	if ts == nil {
		return nil
	}
	checkSince(c, "timestamp.json", c.Timestamp, ts, root, tuf.RoleTimestamp, checkTimestampRollback)
	stock.timestamp = data
	snapshot, err := c.checkSnapshot(ctx, root, ts.Signed.Meta["snapshot.json"])
	if snapshot == nil {
		return err
	}
	name := SlotName(tuf.RoleSnapshot, snapshot.Signed.Version)
	checkSince(c, name, c.Snapshot, snapshot, root, tuf.RoleSnapshot, checkSnapshotRollback)
	stock.snapshot = snapshot.Bytes()
	if err := c.checkRoles(ctx, root, snapshot, stock); err != nil {
		return err
	}
	if len(c.found.Problems) == 0 { // else a stock client would only say it again
		c.problem("metadata", stock.check())
	}
	return nil
}

// checkFile parses and verifies a top-level role's file.
func checkFile[T tuf.Content](c *Checker, name string, data []byte, root *tuf.File[tuf.Root], role string) *tuf.File[T] {
	f, err := parseChecked[T](c, data, maxMetadata)
	if f == nil {
		c.problem("metadata/"+name, err)
		return nil
	}
	c.found.Versions[role] = f.Head().Version
	c.problems("metadata/"+name, []error{
		err, verifyTop(root, role, f), c.profile(checkSalt(f, role, root.Signed.Roles[role], root.Signed.Keys)), c.expired(role, f.Head()),
	})
	return f
}

// checkSince compares a top-level role's file with the one verified last. As for
// clients, that one does not count if the newest root does not verify it.
func checkSince[T tuf.Content](
	c *Checker, name string, last []byte, f *tuf.File[T], root *tuf.File[tuf.Root], role string, rollback func(old, f *T) error,
) {
	old, err := tuf.Parse[T](last, maxMetadata)
	if err == nil && verifyTop(root, role, old) == nil {
		c.problem("metadata/"+name, rollback(&old.Signed, &f.Signed))
	}
}

// checkListed reads a file that another one lists, and compares the two.
func (c *Checker) checkListed(ctx context.Context, role string, meta tuf.MetaFile) ([]byte, error) {
	name := SlotName(role, meta.Version)
	if meta.Length <= 0 || meta.Hashes["sha256"] == "" || len(meta.Hashes) != 1 {
		c.problem("metadata/"+name, c.profile(errors.New("it is listed without its length and sha256")))
	}
	data, err := c.read(ctx, name, maxMetadata)
	if data == nil {
		return nil, err
	}
	c.problem("metadata/"+name, checkContent(meta, data))
	return data, nil
}

func (c *Checker) checkSnapshot(ctx context.Context, root *tuf.File[tuf.Root], meta tuf.MetaFile) (*tuf.File[tuf.Snapshot], error) {
	data, err := c.checkListed(ctx, tuf.RoleSnapshot, meta)
	if data == nil {
		return nil, err
	}
	name := SlotName(tuf.RoleSnapshot, meta.Version)
	f := checkFile[tuf.Snapshot](c, name, data, root, tuf.RoleSnapshot)
	if f != nil && f.Signed.Version != meta.Version {
		c.problem("metadata/"+name, fmt.Errorf("it says version %d", f.Signed.Version))
	}
	return f, nil
}

// checkRoles walks the tree of delegations, from targets down.
func (c *Checker) checkRoles(ctx context.Context, root *tuf.File[tuf.Root], snapshot *tuf.File[tuf.Snapshot], stock *stockView) error {
	w := &roleWalk{checker: c, snapshot: snapshot, stock: stock, seen: map[string]bool{}}
	return w.visit(ctx, tuf.RoleTargets, tuf.RoleRoot, root.Signed.Roles[tuf.RoleTargets], root.Signed.Keys, nil)
}

type roleWalk struct {
	checker  *Checker
	snapshot *tuf.File[tuf.Snapshot]
	stock    *stockView
	seen     map[string]bool
}

func (w *roleWalk) visit(ctx context.Context, role, parent string, signers tuf.Role, keys map[string]tuf.Key, chain []*tuf.DelegatedRole) error {
	c := w.checker
	meta, ok := w.snapshot.Signed.Meta[role+".json"]
	switch {
	case w.seen[role]:
		c.problem("metadata", c.profile(fmt.Errorf("%s is delegated to twice, or by a role below it", RoleToNotary(role))))
		return nil
	case !ok && role == tuf.RoleTargets:
		c.problem("metadata", errors.New("the snapshot does not list targets"))
		return nil
	case !ok:
		c.problem("metadata", fmt.Errorf("the snapshot does not list %s, which %s delegates to: clients fail there", RoleToNotary(role), RoleToNotary(parent)))
		return nil
	}
	w.seen[role] = true
	data, err := c.checkListed(ctx, role, meta)
	if data == nil {
		return err
	}
	name := "metadata/" + SlotName(role, meta.Version)
	f, err := parseChecked[tuf.Targets](c, data, maxMetadata)
	if f == nil {
		c.problem(name, err)
		return nil
	}
	c.found.Versions[role] = f.Head().Version
	c.problems(name, []error{
		err, f.Verify(role, signers, keys), c.profile(checkSalt(f, role, signers, keys)),
		c.profile(checkTargets(&f.Signed)), c.expired(role, f.Head()), sameVersion(f.Head(), meta),
	})
	w.stock.roles = append(w.stock.roles, stockRole{role, parent, data})
	w.collect(name, f, chain)
	for d := range delegationsOf(&f.Signed) {
		r := tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}
		if err := w.visit(ctx, d.Name, role, r, f.Signed.Delegations.Keys, append(slices.Clip(chain), d)); err != nil {
			return err
		}
	}
	return nil
}

func sameVersion(head *tuf.Common, meta tuf.MetaFile) error {
	if head.Version != meta.Version {
		return fmt.Errorf("it says version %d", head.Version)
	}
	return nil
}

// collect notes the targets to be looked at.
func (w *roleWalk) collect(file string, f *tuf.File[tuf.Targets], chain []*tuf.DelegatedRole) {
	c := w.checker
	for name, target := range f.Signed.Targets {
		if i := slices.IndexFunc(chain, func(d *tuf.DelegatedRole) bool { return !Delegates(d, name) }); i >= 0 {
			c.problem(file, c.profile(fmt.Errorf("target %q lies outside the paths of %s", name, RoleToNotary(chain[i].Name))))
		}
		if len(target.Hashes) == 0 {
			c.problem(file, fmt.Errorf("target %q is listed without a hash", name))
		}
		for _, sum := range target.Hashes { // clients ask for any of them
			key := TargetKey(c.Collection, name, sum)
			c.listed[key], c.names[key] = target, name
		}
	}
}

// checkTargets looks at every listed object, or at a sample of them.
func (c *Checker) checkTargets(ctx context.Context) error {
	keys, deep := slices.Sorted(maps.Keys(c.listed)), func(string) bool { return c.Deep }
	if c.Sample != nil {
		look, read := c.Sample.Pick(c.listed)
		keys, deep = look, func(key string) bool { return read[key] }
	}
	c.found.Targets = len(keys)
	return parallel.Each(ctx, 16, len(keys), func(ctx context.Context, i int) error {
		return c.checkTarget(ctx, keys[i], deep(keys[i]))
	})
}

func (c *Checker) checkTarget(ctx context.Context, key string, deep bool) error {
	name, file := c.names[key], strings.TrimPrefix(key, c.Collection+"/")
	_, wrong, err := compareObject(ctx, c.Source, key, name, c.listed[key], deep)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		wrong = fmt.Errorf("target %q is missing", name)
	case err != nil:
		return c.unreadable(ctx, file, err)
	}
	c.problem(file, wrong)
	return nil
}
