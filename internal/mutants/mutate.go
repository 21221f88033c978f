// Package mutants shows that each check is needed: with any one of them turned
// off, a test fails.
//
// All mutants are in one program, and the environment says which one is on: so
// there is one build, not one for each.
package mutants

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
)

// A Mutant is one check that can be turned off.
type Mutant struct {
	N    int
	File string
	Func string // that the check is in
	Line int
	Text string // the condition and what follows from it, or the call
}

func (m Mutant) String() string { return fmt.Sprintf("%s:%d: %s: %s", m.File, m.Line, m.Func, m.Text) }

// key names a mutant as long as its check stays as it is.
func (m Mutant) key() string { return m.File + " " + m.Func + ": " + m.Text }

// switches is what goes into each package that has mutants. A check counts as met
// when it is about to refuse something.
const switches = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

var (
	mutantOn, _ = strconv.Atoi(os.Getenv("PUBLISHER_MUTANT"))
	mutantsMet  sync.Map
)

func mutantOff(n int) bool {
	if name := os.Getenv("PUBLISHER_MUTANTS_MET"); name != "" {
		mutantMet(name, n)
	}
	return n == mutantOn
}

func mutantMet(name string, n int) {
	if _, before := mutantsMet.LoadOrStore(n, true); before {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, n)
}

func mutantPass(n int, err error) error {
	if err != nil && mutantOff(n) {
		return nil
	}
	return err
}
`

// mutator puts switches into a file. Checks are found by their form: conditions
// under which an error is returned, or false, or something is spared; errors that
// are returned under none; parts of what must all hold; and calls of functions
// that are named check or verify.
type mutator struct {
	file    string
	src     []byte
	fset    *token.FileSet
	in      string            // the function
	first   int               // the number of the first mutant
	errs    map[ast.Node]bool // returns of functions that return an error
	under   map[ast.Node]bool // what follows from a condition that is a mutant
	mutants []Mutant
	edits   []edit
}

type edit struct {
	at   int
	text string
}

// mutate returns the file with switches, and the mutants they make.
func mutate(file string, src []byte, first int) ([]byte, []Mutant, error) {
	m := &mutator{file: file, src: src, fset: token.NewFileSet(), first: first}
	f, err := parser.ParseFile(m.fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	m.errs, m.under = map[ast.Node]bool{}, map[ast.Node]bool{}
	ast.Inspect(f, m.functions)
	ast.Inspect(f, m.visit)
	return m.edited(), m.mutants, nil
}

// functions finds the returns of functions whose last result is an error.
func (m *mutator) functions(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		m.returns(n.Type, n.Body)
	case *ast.FuncLit:
		m.returns(n.Type, n.Body)
	}
	return true
}

func (m *mutator) returns(t *ast.FuncType, body *ast.BlockStmt) {
	if t.Results == nil || body == nil || !isNamed(t.Results.List[len(t.Results.List)-1].Type, "error") {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if _, inner := n.(*ast.FuncLit); inner {
			return false
		}
		if r, ok := n.(*ast.ReturnStmt); ok {
			m.errs[r] = len(r.Results) == t.Results.NumFields() // else it hands on what a call returns
		}
		return true
	})
}

func (m *mutator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		m.in = n.Name.Name
	case *ast.IfStmt:
		if refuses(n.Body.List) && (!hands(n.Body.List) || isCheckOf(n.Init)) && !goesOn(n) || spares(n) {
			m.condition(n.Cond, n.Body.List)
			m.inside(n)
			return false
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			m.cases(n)
		}
	case *ast.ReturnStmt:
		m.calls(n.Results)
		m.conjunctions(n)
		m.refusal(n)
	case *ast.AssignStmt:
		if isNamed(n.Lhs[0], "err") && len(n.Lhs) == 1 {
			m.calls(n.Rhs)
		}
	}
	return true
}

// inside goes on below a statement whose condition is a mutant already; its Init
// is the same check.
func (m *mutator) inside(n *ast.IfStmt) {
	ast.Inspect(n.Body, m.visit)
	if n.Else != nil {
		ast.Inspect(n.Else, m.visit)
	}
}

func (m *mutator) cases(n *ast.SwitchStmt) {
	for _, s := range n.Body.List {
		c := s.(*ast.CaseClause)
		for _, e := range c.List {
			if refuses(c.Body) && !hands(c.Body) {
				m.condition(e, c.Body)
			}
		}
	}
}

// condition makes a mutant of each part of a disjunction.
func (m *mutator) condition(e ast.Expr, body []ast.Stmt) {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.LOR {
		m.condition(b.X, body)
		m.condition(b.Y, body)
		return
	}
	m.under[body[len(body)-1]] = true
	n := m.add(e, m.text(e)+" → "+m.text(body[len(body)-1]))
	m.edit(e.Pos(), "((")
	m.edit(e.End(), fmt.Sprintf(") && !mutantOff(%d))", n))
}

// hands reports whether statements do no more than to hand on an error that
// somebody else has found. That is no check; the tests with faults are about it.
func hands(body []ast.Stmt) bool {
	r, ok := body[len(body)-1].(*ast.ReturnStmt)
	return ok && len(body) == 1 && len(r.Results) > 0 && isNamed(r.Results[len(r.Results)-1], "err")
}

// goesOn reports whether a condition is that nothing has failed so far, and what
// follows is the next step. That is no check.
func goesOn(n *ast.IfStmt) bool {
	b, ok := n.Cond.(*ast.BinaryExpr)
	_, assign := n.Body.List[len(n.Body.List)-1].(*ast.AssignStmt)
	return ok && assign && b.Op == token.EQL && isNamed(b.X, "err") && isNamed(b.Y, "nil")
}

// spares reports whether a statement leaves alone what is in a set, or does not
// pass a test.
func spares(n *ast.IfStmt) bool {
	switch c := n.Cond.(type) {
	case *ast.IndexExpr:
		return passesOver(n.Body.List)
	case *ast.UnaryExpr:
		_, call := c.X.(*ast.CallExpr)
		return call && c.Op == token.NOT && passesOver(n.Body.List)
	}
	return false
}

// passesOver reports whether statements do no more than to leave without error.
func passesOver(body []ast.Stmt) bool {
	if len(body) != 1 {
		return false
	}
	switch s := body[0].(type) {
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE
	case *ast.ReturnStmt:
		return len(s.Results) == 1 && isNamed(s.Results[0], "nil")
	}
	return false
}

func isNamed(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isCheckOf reports whether a statement is err := check(…).
func isCheckOf(s ast.Stmt) bool {
	a, ok := s.(*ast.AssignStmt)
	if !ok {
		return false
	}
	c, ok := a.Rhs[0].(*ast.CallExpr)
	return ok && isCheck.MatchString(called(c))
}

var isCheck = regexp.MustCompile(`^(check|Check|verify)([A-Z]|$)`)

// calls makes mutants of calls of checks.
func (m *mutator) calls(all []ast.Expr) {
	for _, e := range all {
		c, ok := e.(*ast.CallExpr)
		if !ok || !isCheck.MatchString(called(c)) {
			continue
		}
		m.pass(e, m.text(e))
	}
}

func (m *mutator) pass(e ast.Expr, text string) {
	n := m.add(e, text)
	m.edit(e.Pos(), fmt.Sprintf("mutantPass(%d, ", n))
	m.edit(e.End(), ")")
}

// refusal makes a mutant of an error that is returned under no condition of its
// own: at the end of a function, or of the cases of a switch.
func (m *mutator) refusal(n *ast.ReturnStmt) {
	if !m.errs[n] || m.under[n] {
		return
	}
	e := n.Results[len(n.Results)-1]
	if c, ok := e.(*ast.CallExpr); isNamed(e, "err") || !isError(e) || ok && isCheck.MatchString(called(c)) {
		return
	}
	m.pass(e, m.text(n))
}

// conjunctions makes a mutant of each part of what is returned if all of them
// hold.
func (m *mutator) conjunctions(n *ast.ReturnStmt) {
	for _, e := range n.Results {
		if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.LAND {
			m.part(b.X, n)
			m.part(b.Y, n)
		}
	}
}

func (m *mutator) part(e ast.Expr, of *ast.ReturnStmt) {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.LAND {
		m.part(b.X, of)
		m.part(b.Y, of)
		return
	}
	n := m.add(e, m.text(e)+" in "+m.text(of))
	m.edit(e.Pos(), "((")
	m.edit(e.End(), fmt.Sprintf(") || mutantOff(%d))", n))
}

// called is the name of the function that is called.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// refuses reports whether statements end in an error, or ignore an event.
func refuses(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	switch last := body[len(body)-1].(type) {
	case *ast.AssignStmt:
		_, call := last.Rhs[0].(*ast.CallExpr)
		return len(last.Lhs) == 1 && isNamed(last.Lhs[0], "err") && (call || isError(last.Rhs[0]) && !isNamed(last.Rhs[0], "err"))
	case *ast.ExprStmt:
		return ignores(last)
	case *ast.ReturnStmt:
		if len(last.Results) == 0 {
			return ignores(body[0])
		}
		return isError(last.Results[len(last.Results)-1]) || slices.ContainsFunc(last.Results, isFalse)
	}
	return false
}

func isFalse(e ast.Expr) bool { return isNamed(e, "false") }

func ignores(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	c, ok := e.X.(*ast.CallExpr)
	return ok && called(c) == "ignore"
}

var isSentinel = regexp.MustCompile(`^[eE]rr[A-Z]`)

// isError: a variable of that name, or what makes one.
func isError(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "err" || isSentinel.MatchString(e.Name)
	case *ast.UnaryExpr:
		return e.Op == token.AND
	case *ast.CallExpr:
		return slices.Contains([]string{"reject", "refused", "rejection", "Errorf", "New", "Join", "unverified", "lost"}, called(e)) || isCheck.MatchString(called(e))
	}
	return false
}

func (m *mutator) add(at ast.Node, text string) int {
	n := m.first + len(m.mutants)
	m.mutants = append(m.mutants, Mutant{n, m.file, m.in, m.fset.Position(at.Pos()).Line, text})
	return n
}

// text is source code in one line.
func (m *mutator) text(n ast.Node) string {
	src := m.src[m.fset.Position(n.Pos()).Offset:m.fset.Position(n.End()).Offset]
	return string(bytes.Join(bytes.Fields(src), []byte(" ")))
}

func (m *mutator) edit(at token.Pos, text string) {
	m.edits = append(m.edits, edit{m.fset.Position(at).Offset, text})
}

func (m *mutator) edited() []byte {
	slices.SortStableFunc(m.edits, func(a, b edit) int { return a.at - b.at })
	var out bytes.Buffer
	done := 0
	for _, e := range m.edits {
		out.Write(m.src[done:e.at])
		out.WriteString(e.text)
		done = e.at
	}
	out.Write(m.src[done:])
	return out.Bytes()
}
