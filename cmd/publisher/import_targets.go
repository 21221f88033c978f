package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"publisher/internal/notary"
	"publisher/internal/parallel"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A leftOut is a target of Notary's that is not imported.
type leftOut struct {
	Role string `json:"role"` // in Notary's form
	Name string `json:"name"`
	Why  string `json:"why"`
}

func (l leftOut) compare(other leftOut) int {
	return strings.Compare(l.Role+"\x00"+l.Name, other.Role+"\x00"+other.Name)
}

// An importer turns what Notary's roles say into staged changes.
type importer struct {
	app     *app
	plan    *importPlan
	old     *notary.Collection
	dir     string // with the files of targets, empty for none
	adopt   bool
	private *notaryKeys

	root   *os.Root
	seen   map[string]map[string]string // names by role and by what they fold to
	listed map[string]string            // by name, the first role of Notary's that lists it
	there  map[string]storage.Info      // by key, objects of the store
}

func (m *importer) all(ctx context.Context) error {
	m.seen, m.listed = map[string]map[string]string{}, map[string]string{}
	if m.dir != "" {
		root, err := os.OpenRoot(m.dir)
		if err != nil {
			return hinted(err, "--targets DIR, with the files of the targets")
		}
		defer root.Close()
		m.root = root
	}
	if err := m.role(ctx, tuf.RoleTargets, m.old.Targets, nil); err != nil {
		return err
	}
	return m.delegations(ctx, m.old.Targets, nil)
}

// role imports the targets of one of Notary's roles into one of ours, to which
// the chain of delegations leads.
func (m *importer) role(ctx context.Context, into string, t *notary.Targets, chain []*tuf.DelegatedRole) error {
	if err := m.lookUp(ctx, t); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		var change repo.Change
		err := m.first(into, t.Name, name)
		if err == nil {
			err = covered(chain, name)
		}
		if err == nil {
			change, err = m.target(ctx, into, name, t.Files[name])
		}
		if errors.Is(err, errLeftOut) {
			m.plan.Left = append(m.plan.Left, leftOut{Role: t.Name, Name: name, Why: strings.TrimPrefix(err.Error(), errLeftOut.Error()+": ")})
			continue
		}
		if err != nil {
			return err
		}
		m.plan.changes = append(m.plan.changes, change)
		m.plan.Targets++
	}
	return nil
}

// first fails for a name that is to go from another role into targets, where it
// would hide what a role before that one has under it. It remembers the name.
func (m *importer) first(into, from, name string) error {
	before, ok := m.listed[name]
	if !ok {
		m.listed[name] = from
	}
	if ok && into == tuf.RoleTargets && from != tuf.RoleTargets {
		return left("%s comes before, and lists it too", before)
	}
	return nil
}

// covered fails for a name that some delegation of a chain does not cover any
// more: patterns end at a depth where a prefix does not.
func covered(chain []*tuf.DelegatedRole, name string) error {
	for _, d := range chain {
		if !repo.Delegates(d, name) {
			return left("its name has more elements than the paths of %s cover", repo.RoleToNotary(d.Name))
		}
	}
	return nil
}

// errLeftOut is why a target is not imported.
var errLeftOut = errors.New("left out")

func left(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errLeftOut, fmt.Errorf(format, args...))
}

// target is the change that adds a target.
func (m *importer) target(ctx context.Context, role, name string, file notary.File) (repo.Change, error) {
	if err := repo.CheckTargetName(name); err != nil {
		return repo.Change{}, left("%w", err)
	}
	if other, ok := m.seen[role][repo.FoldTargetName(name)]; ok {
		return repo.Change{}, left("it differs from %s only in case or Unicode composition", other)
	}
	change, err := m.bytes(ctx, name, file)
	if err != nil {
		return change, err
	}
	change.Role = role
	if change.Target.Custom, err = m.custom(file); err != nil {
		return change, left("%w", err)
	}
	if m.seen[role] == nil {
		m.seen[role] = map[string]string{}
	}
	m.seen[role][repo.FoldTargetName(name)] = name
	return change, nil
}

// custom is a target's custom data, which TUF clients want to be an object.
func (m *importer) custom(file notary.File) (custom []byte, err error) {
	if len(file.Custom) == 0 {
		return nil, nil
	}
	return checkCustom(file.Custom)
}

// bytes finds the content of a target: its file, or the object in the store.
func (m *importer) bytes(ctx context.Context, name string, file notary.File) (repo.Change, error) {
	if m.root != nil {
		change, err := m.fromFile(ctx, name, file)
		if !errors.Is(err, fs.ErrNotExist) {
			return change, err
		}
	}
	change, err := m.fromStore(name, file)
	if errors.Is(err, fs.ErrNotExist) && m.root != nil {
		return change, left("neither %s nor the store has it", m.dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return change, left("the store has no such object, and there is no --targets DIR to take it from")
	}
	return change, err
}

// fromFile stages the file of a target, if it is what Notary has signed.
func (m *importer) fromFile(ctx context.Context, name string, file notary.File) (repo.Change, error) {
	f, err := m.open(name)
	if err != nil {
		return repo.Change{}, err
	}
	defer f.Close()
	if err := m.compare(ctx, f, name, file); err != nil {
		return repo.Change{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return repo.Change{}, err
	}
	return stageFile(ctx, f, filepath.Join(m.dir, filepath.FromSlash(name)), name)
}

// open opens the file of a target. Nothing leads out of the directory.
func (m *importer) open(name string) (*os.File, error) {
	path := filepath.FromSlash(name)
	info, err := m.root.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, left("%s is not a regular file in %s", name, m.dir)
	}
	return m.root.Open(path)
}

// compare reads a file and fails unless it has the length and every hash that
// Notary has signed.
func (m *importer) compare(ctx context.Context, f *os.File, name string, file notary.File) error {
	err := copyTarget(ctx, io.Discard, f, repo.Target{Name: name, TargetFile: tuf.TargetFile{Length: file.Length, Hashes: file.Hashes}})
	if wrong := new(repo.VerifyError); errors.As(err, &wrong) {
		return left("%s has another file of this name: %w", m.dir, wrong.Err)
	}
	return err
}

// lookUps is how many objects are looked for at once.
const lookUps = 16

// lookUp looks which targets of a role the store has, of those without a file.
func (m *importer) lookUp(ctx context.Context, t *notary.Targets) error {
	var keys []string
	for name, file := range t.Files {
		if key := m.object(name, file); key != "" && !m.hasFile(name) {
			keys = append(keys, key)
		}
	}
	infos := make([]*storage.Info, len(keys))
	err := parallel.Each(ctx, lookUps, len(keys), func(ctx context.Context, i int) error {
		info, err := storage.Stat(ctx, m.plan.new.store, keys[i])
		if err == nil {
			infos[i] = &info
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look at the store: %w", err)
	}
	m.there = map[string]storage.Info{}
	for i, info := range infos {
		if info != nil {
			m.there[keys[i]] = *info
		}
	}
	return nil
}

// object is the key of the object that has a target's bytes, empty if there can
// be none: which one it is only a SHA-256 tells.
func (m *importer) object(name string, file notary.File) string {
	sum, ok := file.Hashes["sha256"]
	if !ok || repo.CheckTargetName(name) != nil {
		return ""
	}
	return repo.TargetKey(m.plan.Collection, name, sum)
}

func (m *importer) hasFile(name string) bool {
	if m.root == nil {
		return false
	}
	_, err := m.root.Stat(filepath.FromSlash(name))
	return err == nil
}

// fromStore stages an object that is in the store.
func (m *importer) fromStore(name string, file notary.File) (repo.Change, error) {
	info, ok := m.there[m.object(name, file)]
	switch {
	case !ok:
		return repo.Change{}, fs.ErrNotExist
	case info.Size != file.Length:
		return repo.Change{}, left("the store has an object of %d bytes, not %d, in its place", info.Size, file.Length)
	}
	return hashChange(name, file.Length, file.Hashes["sha256"])
}
