package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"publisher/repo/tuf"
)

// Read reads what a revision changed and verifies it, in place: about as many
// files as roles that changed, if the revision after it was read too. What is
// wrong with a file stands beside it; the error is of the way to the store.
func (h *History) Read(ctx context.Context, r *Revision) error {
	if r.root != nil {
		h.readRoot(r)
		return nil
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		if c.To == 0 {
			continue
		}
		f, err := h.role(ctx, c.Role, r.snapshot.file.Signed.Meta[c.Role+".json"])
		if err == nil {
			c.Expires = f.Signed.Expires
			err = errors.Join(c.note(h.compare(ctx, r, c, f), &c.Gone), c.note(h.signed(ctx, r, c, f), &c.Unjudged))
		}
		if err := c.note(err, &c.Gone); err != nil {
			return err
		}
	}
	return nil
}

// note keeps what an error says of the role's file. The rest it returns.
func (c *RoleChange) note(err error, gone *bool) error {
	var bad *VerifyError
	switch {
	case errors.As(err, &bad):
		c.Problem = bad.Error()
	case errors.Is(err, fs.ErrNotExist):
		*gone = true
	default:
		return err
	}
	return nil
}

func (h *History) readRoot(r *Revision) {
	c, f := &r.Changes[0], r.root.file
	c.Expires = f.Signed.Expires
	var old *tuf.Root
	c.Signers = f.SignedBy(f.Signed.Roles[tuf.RoleRoot].KeyIDs, f.Signed.Keys, false)
	if r.older != nil {
		old = &r.older.file.Signed
		c.Signers = append(c.Signers, without(f.SignedBy(old.Roles[tuf.RoleRoot].KeyIDs, old.Keys, false), c.Signers)...)
	}
	c.Difference = compareRoots(old, &f.Signed)
}

// compare finds out what a version of a role changed, and whether it was made
// from the one that it replaced.
func (h *History) compare(ctx context.Context, r *Revision, c *RoleChange, f *tuf.File[tuf.Targets]) error {
	var old *tuf.Targets
	parent := ""
	if c.From != 0 {
		before, err := h.role(ctx, c.Role, r.before.file.Signed.Meta[c.Role+".json"])
		if err != nil {
			return err
		}
		old, parent = &before.Signed, before.SHA256()
	}
	c.Difference = compareTargets(old, &f.Signed)
	if told := f.Signed.Publisher; told.Collection != "" && told.Parent != parent {
		return unverified(SlotName(c.Role, c.To), errors.New("it was not made from the version before it"))
	}
	return nil
}

// signed finds out who signed a version of a role, and whether they could.
func (h *History) signed(ctx context.Context, r *Revision, c *RoleChange, f *tuf.File[tuf.Targets]) (err error) {
	c.Signers, err = h.judge(ctx, r.snapshot.file, c.Role, f, 0)
	return err
}

// judge checks the signatures of a role's file as it was listed by a snapshot,
// up to the root in force then, and returns the keys that made them.
func (h *History) judge(ctx context.Context, s *tuf.File[tuf.Snapshot], role string, f *tuf.File[tuf.Targets], depth int) ([]string, error) {
	name := SlotName(role, f.Head().Version)
	if role == tuf.RoleTargets {
		return h.roots.signers(role, f.SignedBy), unverifiedIf(name, h.roots.verify(role, f))
	}
	if depth > maxDepth {
		return nil, unverified(name, fmt.Errorf("it lies more than %d delegations deep", maxDepth))
	}
	parent, d, err := h.delegator(ctx, s, role)
	if err != nil {
		return nil, err
	}
	above, err := h.role(ctx, parent, s.Signed.Meta[parent+".json"])
	if err != nil {
		return nil, err
	}
	if _, err := h.judge(ctx, s, parent, above, depth+1); err != nil {
		return nil, err
	}
	keys := above.Signed.Delegations.Keys
	return f.SignedBy(d.KeyIDs, keys, false), unverifiedIf(name, f.Verify(role, tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}, keys))
}

func unverifiedIf(file string, err error) error {
	if err == nil {
		return nil
	}
	return unverified(file, err)
}

// delegator finds who delegated to a role, in the collection as a snapshot
// lists it. The names of roles tell, as a rule.
func (h *History) delegator(ctx context.Context, s *tuf.File[tuf.Snapshot], role string) (string, *tuf.DelegatedRole, error) {
	var gone error
	for _, name := range candidates(s, role) {
		f, err := h.role(ctx, name, s.Signed.Meta[name+".json"])
		if errors.Is(err, fs.ErrNotExist) {
			gone = err
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if d := findDelegation(&f.Signed, role); d != nil {
			return name, d, nil
		}
	}
	if gone != nil {
		return "", nil, fmt.Errorf("who delegated to %s: %w", RoleToNotary(role), gone)
	}
	return "", nil, unverified(SlotName(role, s.Signed.Meta[role+".json"].Version), errors.New("no role delegates to it"))
}

// candidates is the roles that may delegate to a role, those that its name
// tells first.
func candidates(s *tuf.File[tuf.Snapshot], role string) []string {
	var names []string
	for above := role; ; {
		i := strings.LastIndexByte(above, '.')
		if i < 0 {
			break
		}
		above = above[:i]
		names = append(names, above)
	}
	names = append(names, tuf.RoleTargets)
	for _, file := range slices.Sorted(maps.Keys(s.Signed.Meta)) {
		if name := strings.TrimSuffix(file, ".json"); name != role && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, listed := s.Signed.Meta[name+".json"]
		return !listed
	})
}

// roleFiles holds the files that were read last: the versions before are those
// that come next, and who delegates seldom changes.
type roleFiles struct {
	held  map[string]*tuf.File[tuf.Targets] // by slot and hash
	order []string
	size  int
}

// maxHeld is how many bytes of files are held, beside those that one revision
// needs.
const maxHeld = 32 << 20

// role reads the file of a role that a snapshot lists. The error wraps
// fs.ErrNotExist if it is no longer there; it is a *VerifyError if it is not
// what was listed.
func (h *History) role(ctx context.Context, role string, meta tuf.MetaFile) (*tuf.File[tuf.Targets], error) {
	name := SlotName(role, meta.Version)
	key := name + " " + meta.Hashes["sha256"]
	if f := h.files.held[key]; f != nil {
		return f, nil
	}
	data, _, err := h.read(ctx, role, meta.Version, maxMetadata)
	if err != nil {
		return nil, err
	}
	f, err := parseListed(data, meta, maxMetadata, func(*tuf.File[tuf.Targets]) error { return nil })
	if err != nil {
		return nil, unverified(name, err)
	}
	h.files.keep(key, f)
	return f, nil
}

func (r *roleFiles) keep(key string, f *tuf.File[tuf.Targets]) {
	r.held[key], r.order, r.size = f, append(r.order, key), r.size+len(f.Bytes())
	for r.size > maxHeld && len(r.order) > 1 {
		r.size -= len(r.held[r.order[0]].Bytes())
		delete(r.held, r.order[0])
		r.order = r.order[1:]
	}
}
