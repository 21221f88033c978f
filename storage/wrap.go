package storage

// Full is a Store with every optional interface.
type Full interface {
	Store
	Stater
	Deleter
	Batcher
}

// Narrow returns outer, a wrapper around inner, with exactly the optional
// interfaces that inner has. Callers find abilities by type assertion, so a
// wrapper must not show one that the store behind it lacks.
func Narrow(outer Full, inner Store) Store {
	_, s := inner.(Stater)
	_, d := inner.(Deleter)
	_, b := inner.(Batcher)
	switch {
	case s && d && b:
		return outer
	case s && d:
		return struct {
			Store
			Stater
			Deleter
		}{outer, outer, outer}
	case s && b:
		return struct {
			Store
			Stater
			Batcher
		}{outer, outer, outer}
	case d && b:
		return struct {
			Store
			Deleter
			Batcher
		}{outer, outer, outer}
	case s:
		return struct {
			Store
			Stater
		}{outer, outer}
	case d:
		return struct {
			Store
			Deleter
		}{outer, outer}
	case b:
		return struct {
			Store
			Batcher
		}{outer, outer}
	}
	return struct{ Store }{outer}
}
