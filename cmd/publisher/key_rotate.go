package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/trust"
)

type keyRotateOptions struct {
	newSecret
	remote  bool
	local   bool
	grace   time.Duration
	keyType string
}

func newKeyRotate(a *app) *cobra.Command {
	var o keyRotateOptions
	cmd := &cobra.Command{
		Use:   "rotate COLLECTION snapshot|timestamp (-r | --online SIGNER --inbox URL | --local)",
		Short: "Replace a key by a new one, and move it to an online signer or back",
		Long: `Replace the key of snapshot or timestamp by a new one: of the online signer (-r)
or in the trust directory (--local). The root keys sign for it.

A move between the two takes both roles along, whichever is named: one party
signs both, as it writes the one into the other. The keys that were in force
and the new ones sign together before the new root is published, and until the
grace is over, so that no client is ever left without signatures it trusts. Who
holds only the new keys can go on then: a publish waits for that.

Whatever interrupts it, the same command again completes it.`,
		Example: `  publisher key rotate example.com/scripts snapshot --online lambda:publisher-signer --inbox s3://inbox
  publisher key rotate example.com/scripts timestamp -r
  publisher key rotate example.com/scripts snapshot --local`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.remote = o.remote || a.flags.online != ""
			if err := o.check(args[1]); err != nil {
				return err
			}
			return a.rotate(cmd.Context(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.remote, "remote", "r", false, "to a key of the online signer")
	f.BoolVar(&o.local, "local", false, "to a key in the trust directory")
	f.DurationVar(&o.grace, "grace", repo.DefaultGrace, "for `how long` old and new keys sign together; longer than any client takes to update")
	f.StringVar(&o.keyType, "key-type", tuf.TypeEd25519, "with --local: `kind` of the keys to make: ed25519, ecdsa, rsa")
	o.newSecret.add(cmd)
	cmd.ValidArgsFunction = a.completeRotate
	return cmd
}

func (a *app) completeRotate(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return onlineRoles, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeCollections(cmd, args, word)
}

func (o *keyRotateOptions) check(role string) error {
	const hint = "publisher key rotate COLLECTION snapshot -r, or --local"
	switch {
	case !slices.Contains(onlineRoles, role):
		return usage(hint, "%s is not a role that this rotates: snapshot, timestamp", printable(role))
	case o.remote == o.local:
		return usage(hint, "one of -r (or --online) and --local is needed")
	case o.grace < time.Second || o.grace > 24*time.Hour:
		return usage("--grace 5m", "--grace %v is not between a second and a day", o.grace)
	case o.remote && (o.newSecret.none || o.newSecret.file != ""):
		return usage("leave it out", "--no-passphrase and --new-passphrase-file go with --local")
	case o.remote && o.keyType != tuf.TypeEd25519:
		return usage("leave out --key-type", "--key-type goes with --local: the signer makes its own keys")
	}
	return o.newSecret.check()
}

func (a *app) rotate(ctx context.Context, name, role string, o keyRotateOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := a.newRotation(ctx, c, s, role, o)
	if err != nil {
		return err
	}
	finished, err := r.settle(ctx)
	if err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if finished {
		r.keys = r.current()
		return r.report(nil)
	}
	if err := r.plan(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

// A rotation replaces keys of online roles.
type rotation struct {
	app    *app
	c      *trust.Collection
	o      keyRotateOptions
	before trust.Settings
	after  trust.Settings // differs if the roles move
	signer *online        // the one that has the keys, or gets them; nil if none has to do with it
	roles  []string

	root  *tuf.Root          // in force
	named map[string]bool    // the IDs of all keys that roots have named so far
	keys  map[string]tuf.Key // new ones, by role
	made  []pair             // those of them that are to be stored here
}

func (r *rotation) moves() bool { return r.before.Online != r.after.Online }

func (a *app) newRotation(ctx context.Context, c *trust.Collection, s trust.Settings, role string, o keyRotateOptions) (*rotation, error) {
	r := &rotation{app: a, c: c, o: o, before: s, after: s, roles: []string{role}}
	r.after.Online, r.after.Inbox = "", ""
	if o.remote {
		r.after.Online, r.after.Inbox = s.Online, s.Inbox
		if r.after.Online == "" && a.flags.online == "" {
			return nil, usage("publisher key rotate "+c.Name()+" "+role+" --online lambda:NAME --inbox URL", "%s has no online signer yet", c.Name())
		}
		if err := a.checkOnline(a.overrideOnline(&r.after)); err != nil {
			return nil, err
		}
	}
	if o.remote && s.Online != "" && r.moves() {
		return nil, usage("--local first", "%s has another online signer, %s", c.Name(), s.Online)
	}
	if r.moves() {
		r.roles = onlineRoles
	}
	place := r.before
	if place.Online == "" {
		place = r.after
	}
	if place.Online == "" {
		return r, nil
	}
	var err error
	r.signer, err = a.onlineBy(ctx, c, place)
	return r, err
}

// settle deals with what is left of an interrupted run: keys do not move under a
// submission that may still be committed. It reports whether that was this very
// rotation, which is finished then.
func (r *rotation) settle(ctx context.Context) (finished bool, err error) {
	if r.before.Online == "" {
		return false, nil
	}
	p, err := r.c.Pending()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	receipt, err := r.signer.settle(ctx)
	return receipt != nil && !r.moves() && p.Rotates == r.roles[0], err
}

func (r *rotation) load(ctx context.Context) error {
	v, err := r.app.loadExpired(ctx, r.c, r.before)
	if err != nil {
		return err
	}
	if !v.Published() {
		return fmt.Errorf("%s: %w", r.c.Name(), repo.ErrNotPublished)
	}
	r.root = &v.Root().Signed
	r.named, err = v.NamedKeys(ctx)
	return err
}

// current is the keys in force.
func (r *rotation) current() map[string]tuf.Key {
	keys := map[string]tuf.Key{}
	for _, role := range r.roles {
		for _, id := range r.root.Roles[role].KeyIDs {
			keys[role] = r.root.Keys[id]
		}
	}
	return keys
}

func sameKey(a, b tuf.Key) bool { return a.ID() == b.ID() }

// plan finds the new keys, shows what will be done, and asks whether it should
// be. What is done already needs no question.
func (r *rotation) plan(ctx context.Context) (err error) {
	if r.o.remote {
		err = r.remoteKeys(ctx)
	} else {
		err = r.localKeys()
	}
	if err != nil || maps.EqualFunc(r.keys, r.current(), sameKey) {
		return err
	}
	r.show()
	return r.app.insist(fmt.Sprintf("publish root %d of %s with these keys?", r.root.Version+1, r.c.Name()))
}

// remoteKeys takes those that the signer has ready, but for those that roots
// have named before: what was replaced once may have been for a reason.
func (r *rotation) remoteKeys(ctx context.Context) (err error) {
	if r.keys, err = r.app.signerKeys(ctx, r.c.Name(), r.after.Online); err != nil {
		return err
	}
	maps.DeleteFunc(r.keys, func(role string, _ tuf.Key) bool { return !slices.Contains(r.roles, role) })
	for _, role := range r.roles {
		id := r.keys[role].ID()
		if !r.named[id] || r.moves() && slices.Contains(r.root.Roles[role].KeyIDs, id) {
			continue
		}
		var made lambda.KeyAnswer
		request := lambda.Request{Action: lambda.ActionRotateKey, Collection: r.c.Name(), Role: role}
		if err := r.signer.signer.ask(ctx, request, &made); err != nil {
			return err
		}
		r.keys[role] = made.Key
	}
	return nil
}

// localKeys takes those that an interrupted run has left, and makes the others.
func (r *rotation) localKeys() error {
	r.keys = map[string]tuf.Key{}
	for _, role := range r.roles {
		key, err := r.leftKey(role)
		if err != nil {
			return err
		}
		if key != nil {
			r.keys[role] = *key
			continue
		}
		signer, err := keys.Generate(r.o.keyType)
		if err != nil {
			return usage("--key-type ed25519, ecdsa or rsa", "%w", err)
		}
		if r.keys[role], err = tuf.NewKey(signer.Public()); err != nil {
			return err
		}
		r.made = append(r.made, pair{role: role, signer: signer, id: r.keys[role].ID()})
	}
	return nil
}

// leftKey is a key of the trust directory that no root has named yet, or, where
// the roles move here, that the newest one names: a run was interrupted after it
// was made. It is nil if there is none.
func (r *rotation) leftKey(role string) (*tuf.Key, error) {
	held, err := r.app.heldKeys()
	if err != nil {
		return nil, err
	}
	for _, k := range held {
		current := r.moves() && slices.Contains(r.root.Roles[role].KeyIDs, k.ID)
		if k.Role != role || k.Collection != r.c.Name() || r.named[k.ID] && !current {
			continue
		}
		if key, ok := publicIn(k.pem, k.ID); ok {
			return &key, nil
		}
	}
	return nil, nil
}

// show tells what is about to happen.
func (r *rotation) show() {
	if r.moves() {
		r.app.infof("snapshot and timestamp move together: one party signs both")
	}
	for _, role := range r.roles {
		for _, old := range r.root.Roles[role].KeyIDs {
			r.app.infof("%-9s key %s, %s, goes", role, old, holder(r.before))
		}
		r.app.infof("%-9s key %s, %s, comes", role, r.keys[role].ID(), holder(r.after))
	}
	r.app.infof("old and new keys sign together for %v", r.o.grace)
}

func holder(s trust.Settings) string {
	if s.Online == "" {
		return "here"
	}
	return "of " + s.Online
}

// run stores what is made here before anybody relies on it, and lets the
// settings follow what is published.
func (r *rotation) run(ctx context.Context) error {
	if err := r.storeKeys(); err != nil {
		return err
	}
	p, err := r.publisher(ctx)
	if err != nil {
		return err
	}
	rotation := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: r.o.grace}
	for role, key := range r.keys {
		rotation.Roles[role] = repo.Signers{Keys: []tuf.Key{key}, Threshold: 1}
	}
	receipt, err := p.Rotate(ctx, rotation)
	if err != nil {
		return hinted(err, "publisher key rotate %s %s … again completes it", r.c.Name(), r.roles[0])
	}
	if err := r.follow(); err != nil {
		return err
	}
	return r.report(receipt)
}

func (r *rotation) storeKeys() error {
	for i := range r.made {
		if r.o.newSecret.none && i > 0 {
			break // it was warned of once
		}
		passphrase, err := r.app.choosePassphrase(r.o.newSecret, func() ([]byte, error) { return r.app.newPassphrase(r.made[i].role) })
		if err != nil {
			return err
		}
		r.made[i].passphrase = passphrase
	}
	for _, p := range r.made {
		if _, err := r.app.storeKey(p.signer, p.role, r.c.Name(), p.passphrase); err != nil {
			return err
		}
	}
	return nil
}

// publisher is set up with the commit that this rotation needs: of the one who
// holds old and new keys, or here, with the signer's signatures beside ours.
func (r *rotation) publisher(ctx context.Context) (*repo.Publisher, error) {
	p, err := r.app.publisher(ctx, r.c)
	if err != nil || r.signer == nil {
		return p, err
	}
	if !r.moves() {
		r.signer.rotates = r.roles[0]
		p.Commit = r.signer.commit
		return p, nil
	}
	committer, err := r.app.committer(ctx, r.c)
	if err != nil {
		return nil, err
	}
	committer.Cosign = r.signer.cosign
	p.Commit = r.app.patient(committer.Commit)
	return p, nil
}

// cosign is a repo.CosignFunc.
func (o *online) cosign(ctx context.Context, root, snapshot []byte) (cosigned, timestamp []byte, err error) {
	defer o.app.wait("waiting for the signer")()
	var answer lambda.CosignAnswer
	err = o.signer.ask(ctx, lambda.Request{Action: lambda.ActionCosign, Collection: o.c.Name(), Root: root, Snapshot: snapshot}, &answer)
	return answer.Snapshot, answer.Timestamp, err
}

// follow lets the settings say who holds the keys now.
func (r *rotation) follow() error {
	if r.moves() {
		return r.c.SetSettings(r.after)
	}
	if r.signer == nil {
		return nil
	}
	return r.c.ClearPending()
}

// rotated is the result of key rotate.
type rotated struct {
	Collection string            `json:"collection"`
	Root       int64             `json:"root_version"`
	Keys       map[string]string `json:"keys"`
	Online     string            `json:"online,omitempty"` // who holds them, empty for the trust directory
	Versions   map[string]int64  `json:"versions,omitempty"`
}

func (r *rotation) report(receipt *repo.Receipt) error {
	done := rotated{Collection: r.c.Name(), Root: r.root.Version, Keys: map[string]string{}, Online: r.after.Online}
	if receipt != nil {
		done.Root++
		done.Versions = receipt.Versions
	}
	for role, key := range r.keys {
		done.Keys[role] = key.ID()
	}
	if r.moves() && r.after.Online != "" {
		r.app.infof("the old keys are of no more use after the grace: publisher key list, publisher key remove KEY-ID")
	}
	return r.app.result(done, func(w io.Writer) error {
		for _, role := range slices.Sorted(maps.Keys(done.Keys)) {
			if _, err := fmt.Fprintf(w, "%-9s key %s, %s, since root %d\n", role, done.Keys[role], holder(r.after), done.Root); err != nil {
				return err
			}
		}
		return nil
	})
}
