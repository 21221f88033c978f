package repo_test

// delegate publishes a delegation below parent, and the first, empty version of
// its role.
func (w *world) delegate(parent, role string, paths ...string) {
	w.t.Helper()
	s := w.scene()
	if _, err := w.committer().Commit(w.t.Context(), nil, s.Delegation(parent, role, paths...)); err != nil {
		w.t.Fatal(err)
	}
}
