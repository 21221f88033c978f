package storage

import (
	"errors"
	"io"
	"time"
)

// The least that whoever sends a body must send, looked at in this time: an
// honest way is faster, and one byte now and then would keep the reader for
// ever; TUF specification, section 1.5.2, slow retrieval.
const (
	leastSpeed  = 1 << 10 // bytes a second
	speedWindow = time.Minute
)

// ErrSlow reports a body that comes too slowly to be waited for.
var ErrSlow = errors.New("timeout: less than 1 KiB a second arrives")

// Brisk returns a body of which a Read fails with ErrSlow once less than 1 KiB
// a second has come for a minute of waiting. The time between reads does not
// count: whoever is slow to take what was sent does not make the sender so.
func Brisk(body io.ReadCloser, now func() time.Time) io.ReadCloser {
	return &brisk{ReadCloser: body, now: now}
}

type brisk struct {
	io.ReadCloser
	now    func() time.Time
	waited time.Duration // in this window
	got    int64         // in this window
}

func (b *brisk) Read(p []byte) (int, error) {
	began := b.now()
	n, err := b.ReadCloser.Read(p)
	b.waited += b.now().Sub(began)
	b.got += int64(n)
	if b.waited < speedWindow {
		return n, err
	}
	slow := b.got < int64(b.waited/time.Second)*leastSpeed
	b.waited, b.got = 0, 0
	if slow && err == nil {
		err = ErrSlow
	}
	return n, err
}
