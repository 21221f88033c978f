package notary

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"publisher/repo/tuf"
)

// newRole finds the keys of a role.
func newRole(c roleContent, table map[string]keyContent) (Role, error) {
	role := Role{Threshold: c.Threshold}
	for _, id := range c.KeyIDs {
		content, ok := table[id]
		if !ok {
			return role, fmt.Errorf("key %s is not listed", tuf.ShortID(id))
		}
		if slices.ContainsFunc(role.Keys, func(k Key) bool { return k.ID == id }) {
			continue
		}
		key, err := newKey(id, content)
		if err != nil {
			return role, err
		}
		role.Keys = append(role.Keys, key)
	}
	if c.Threshold < 1 {
		return role, fmt.Errorf("threshold %d", c.Threshold)
	}
	return role, nil
}

var errThreshold = errors.New("too few of its role's keys have signed it")

// verify checks that enough keys of a role have signed. What stands under the ID
// of one key counts once.
func verify[T any](f *file[T], role Role) error {
	good := map[string]bool{}
	for _, s := range f.signatures {
		i := slices.IndexFunc(role.Keys, func(k Key) bool { return k.ID == s.KeyID })
		if i >= 0 && !good[s.KeyID] && role.Keys[i].verify(f.payload, s) {
			good[s.KeyID] = true
		}
	}
	if int64(len(good)) < role.Threshold {
		return fmt.Errorf("%w: %d of %d", errThreshold, len(good), role.Threshold)
	}
	return nil
}

// root reads one version of root, "root" or "1.root", and the keys that may sign
// a root by it: those whose certificate is for the collection.
func (r *reader) root(ctx context.Context, name string) (*file[rootContent], Role, error) {
	var f file[rootContent]
	data, err := r.read(ctx, name, maxRoot)
	if err != nil {
		return nil, Role{}, err
	}
	if err := parse(data, rootShape, "Root", &f); err != nil {
		return nil, Role{}, wrong(name, "%w", err)
	}
	all, err := newRole(f.signed.Roles["root"], f.signed.Keys)
	if err != nil {
		return nil, Role{}, wrong(name, "role root: %w", err)
	}
	role, refused := Role{Threshold: all.Threshold}, error(nil)
	for _, key := range all.Keys {
		if err := key.checkRoot(r.c.GUN); err != nil {
			refused = fmt.Errorf("key %s: %w", tuf.ShortID(key.ID), err)
			continue
		}
		role.Keys = append(role.Keys, key)
	}
	if err := verify(&f, role); err != nil {
		return nil, role, wrong(name, "%w", errors.Join(err, refused))
	}
	return &f, role, nil
}

// roots reads the newest root, and verifies it from each older one that is there,
// going back.
func (r *reader) roots(ctx context.Context) (*file[rootContent], error) {
	newest, role, err := r.root(ctx, "root")
	if err != nil {
		return nil, err
	}
	r.note(newest, role)
	for after := newest; after.signed.Version > 1 && len(r.c.Roots) < maxRoots; {
		name := fmt.Sprintf("%d.root", after.signed.Version-1)
		before, role, err := r.root(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		if before.signed.Version != after.signed.Version-1 {
			return nil, wrong(name, "its version is %d", before.signed.Version)
		}
		if err := verify(after, role); err != nil {
			return nil, wrong("root", "version %d does not follow from version %d: %w", after.signed.Version, before.signed.Version, err)
		}
		r.note(before, role)
		after = before
	}
	slices.Reverse(r.c.Roots)
	return newest, r.topLevel(newest)
}

func (r *reader) note(f *file[rootContent], role Role) {
	root := Root{Version: f.signed.Version, Expires: f.signed.Expires}
	for _, key := range role.Keys {
		root.KeyIDs = append(root.KeyIDs, key.ID)
	}
	r.c.Roots = append(r.c.Roots, root)
}

// topLevel keeps what the newest root says of who may sign.
func (r *reader) topLevel(f *file[rootContent]) error {
	r.expiry("root", f.signed.Expires)
	r.c.Roles = map[string]Role{}
	for _, name := range tuf.TopLevel {
		role, err := newRole(f.signed.Roles[name], f.signed.Keys)
		if err != nil {
			return wrong("root", "role %s: %w", name, err)
		}
		r.c.Roles[name] = role
	}
	for _, key := range r.c.Roles["root"].Keys {
		if at, ok := key.notAfter(); ok {
			r.expiry("certificate of root key "+tuf.ShortID(key.ID), at)
		}
	}
	return nil
}

// snapshot reads timestamp and snapshot.
func (r *reader) snapshot(ctx context.Context) (*file[metaContent], error) {
	timestamp, err := r.meta(ctx, "timestamp", "Timestamp", maxTimestamp)
	if err != nil {
		return nil, err
	}
	snapshot, err := r.meta(ctx, "snapshot", "Snapshot", maxSnapshot)
	if err != nil {
		return nil, err
	}
	return snapshot, r.check("snapshot", snapshot.data, timestamp.signed.Meta["snapshot"])
}

func (r *reader) meta(ctx context.Context, name, kind string, max int64) (*file[metaContent], error) {
	shape := snapshotShape
	if name == "timestamp" {
		shape = timestampShape
	}
	data, err := r.read(ctx, name, max)
	if err != nil {
		return nil, err
	}
	var f file[metaContent]
	err = parse(data, shape, kind, &f)
	if err == nil {
		err = verify(&f, r.c.Roles[name])
	}
	if err != nil {
		return nil, wrong(name, "%w", err)
	}
	r.expiry(name, f.signed.Expires)
	return &f, nil
}

// targets reads the role targets and all delegations below it.
func (r *reader) targets(ctx context.Context, role Role, meta map[string]fileContent) (*Targets, error) {
	top := Delegation{Role: role, Name: "targets", Paths: []string{""}}
	if err := r.delegation(ctx, &top, meta); err != nil {
		return nil, err
	}
	if top.Content == nil {
		return nil, &Error{File: "targets", Err: top.Reason}
	}
	return top.Content, nil
}

// ErrNotPublished is why a delegation has no content: nobody has published any.
var ErrNotPublished = errors.New("it was never published")

// delegation reads the content of a role and of those below it. That too few of
// its keys have signed it is for Notary's clients no reason to refuse the rest.
func (r *reader) delegation(ctx context.Context, d *Delegation, meta map[string]fileContent) error {
	listed, ok := meta[d.Name]
	if !ok {
		d.Reason = ErrNotPublished
		return nil
	}
	if r.roles++; r.roles > maxRoles {
		return wrong(d.Name, "there are more than %d roles", maxRoles)
	}
	f, err := r.targetsFile(ctx, d, listed)
	if errors.Is(err, errThreshold) {
		d.Reason = err
		return nil
	}
	if err != nil {
		return err
	}
	if d.Content, err = content(d, f); err != nil {
		return wrong(d.Name, "%w", err)
	}
	r.expiry(d.Name, f.signed.Expires)
	for i := range d.Content.Delegations {
		if err := r.delegation(ctx, &d.Content.Delegations[i], meta); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) targetsFile(ctx context.Context, d *Delegation, listed fileContent) (*file[targetsContent], error) {
	data, err := r.read(ctx, d.Name, maxTargets)
	if err != nil {
		return nil, err
	}
	if err := r.check(d.Name, data, listed); err != nil {
		return nil, err
	}
	var f file[targetsContent]
	err = parse(data, targetsShape, "Targets", &f)
	if err == nil {
		err = verify(&f, d.Role)
	}
	if err != nil {
		return nil, wrong(d.Name, "%w", err)
	}
	return &f, nil
}

// content is a file in the words of the package.
func content(d *Delegation, f *file[targetsContent]) (*Targets, error) {
	t := &Targets{Name: d.Name, Version: f.signed.Version, Expires: f.signed.Expires, Files: map[string]File{}}
	for name, file := range f.signed.Targets {
		if !covers(d.Paths, name) {
			continue // which no client of Notary's finds
		}
		var err error
		if t.Files[name], err = targetFile(file); err != nil {
			return nil, fmt.Errorf("target %q: %w", name, err)
		}
	}
	seen := map[string]bool{}
	for _, c := range f.signed.Delegations.Roles {
		child := Delegation{Name: c.Name, Paths: within(d.Paths, c.Paths)}
		if err := checkName(d.Name, c.Name); err != nil {
			return nil, err
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("it delegates to %s twice", c.Name)
		}
		seen[c.Name] = true
		var err error
		if child.Role, err = newRole(c.roleContent, f.signed.Delegations.Keys); err != nil {
			return nil, fmt.Errorf("role %s: %w", c.Name, err)
		}
		t.Delegations = append(t.Delegations, child)
	}
	return t, nil
}

var delegationName = regexp.MustCompile(`^targets(/[-a-z0-9_]+)+$`)

// checkName: a role delegates to those named below it and to no others, so that
// there are no cycles.
func checkName(parent, name string) error {
	switch {
	case !delegationName.MatchString(name) || len(name) > 255 || path.Dir(name) != parent:
		return fmt.Errorf("%q is no delegation of %s", name, parent)
	case strings.Count(name, "/") > maxDepth:
		return fmt.Errorf("%s lies more than %d delegations deep", name, maxDepth)
	}
	return nil
}

// covers reports whether one of the prefixes is that of a name.
func covers(prefixes []string, name string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// within is the prefixes of a role that lie within its parent's; Notary drops the
// others.
func within(parent, prefixes []string) []string {
	return slices.DeleteFunc(slices.Clone(prefixes), func(p string) bool { return !covers(parent, p) })
}
