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

// switches is what goes into each package that has mutants.
const switches = `package %s

import (
	"os"
	"strconv"
)

var mutantOn, _ = strconv.Atoi(os.Getenv("PUBLISHER_MUTANT"))

func mutantOff(n int) bool { return n == mutantOn }

func mutantPass(n int, err error) error {
	if n == mutantOn {
		return nil
	}
	return err
}
`

// mutator puts switches into a file. Checks are found by their form: conditions
// under which an error is returned, and calls of functions that are named check
// or verify.
type mutator struct {
	file    string
	src     []byte
	fset    *token.FileSet
	in      string // the function
	first   int    // the number of the first mutant
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
	ast.Inspect(f, m.visit)
	return m.edited(), m.mutants, nil
}

func (m *mutator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		m.in = n.Name.Name
	case *ast.IfStmt:
		if refuses(n.Body.List) && (!hands(n.Body.List) || isCheckOf(n.Init)) {
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
		n := m.add(e, m.text(e))
		m.edit(e.Pos(), fmt.Sprintf("mutantPass(%d, ", n))
		m.edit(e.End(), ")")
	}
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
		return call && isNamed(last.Lhs[0], "err") && len(last.Lhs) == 1
	case *ast.ExprStmt:
		return ignores(last)
	case *ast.ReturnStmt:
		if len(last.Results) == 0 {
			return ignores(body[0])
		}
		return isError(last.Results[len(last.Results)-1])
	}
	return false
}

func ignores(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	c, ok := e.X.(*ast.CallExpr)
	return ok && called(c) == "ignore"
}

// isError: a variable of that name, or what makes one.
func isError(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return isNamed(e, "err")
	case *ast.UnaryExpr:
		return e.Op == token.AND
	case *ast.CallExpr:
		return slices.Contains([]string{"reject", "refused", "rejection", "Errorf", "New", "unverified"}, called(e)) || isCheck.MatchString(called(e))
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
