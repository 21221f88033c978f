package doctor

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
	"time"

	"publisher/repo/tuf"
)

// TestCompare: nothing but the bytes that were signed passes for an object, and
// no more of an answer is read than they are.
func TestCompare(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1000)
	zipped := func(data []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
		return b.Bytes()
	}
	o := object{TargetFile: tuf.TargetFile{Length: 1000, Hashes: map[string]string{"sha256": sum(data)}}}
	peek := o
	peek.peek = true
	for name, row := range map[string]struct {
		object             object
		accepted, encoding string
		body               []byte
		fine               bool
	}{
		"as it is":               {o, "identity", "", data, true},
		"told to be as it is":    {o, "identity", "identity", data, true},
		"other bytes":            {o, "identity", "", bytes.Repeat([]byte("y"), 1000), false},
		"shorter":                {o, "identity", "", data[1:], false},
		"longer":                 {o, "identity", "", append(data[:1000:1000], 'x'), false},
		"gzip":                   {o, "gzip", "gzip", zipped(data), true},
		"not compressed":         {o, "gzip", "", data, true},
		"gzip of more":           {o, "gzip", "gzip", zipped(bytes.Repeat([]byte("x"), 100<<20)), false},
		"gzip cut off":           {o, "gzip", "gzip", zipped(data)[:20], false},
		"not gzip":               {o, "gzip", "gzip", data, false},
		"gzip for all":           {o, "identity", "gzip", zipped(data), false},
		"another encoding":       {o, "gzip", "br", data, false},
		"the right length":       {peek, "identity", "", data, true},
		"another length":         {peek, "identity", "", data[1:], false},
		"a length of compressed": {peek, "identity", "gzip", zipped(data), false},
	} {
		body := &countingReader{Reader: bytes.NewReader(row.body)}
		resp := &http.Response{Header: http.Header{"Content-Encoding": {row.encoding}}, Body: io.NopCloser(body), ContentLength: int64(len(row.body))}
		wrong, err := row.object.compare(resp, row.accepted)
		if err != nil || (wrong == nil) != row.fine || body.n > 64<<10 {
			t.Errorf("%s: %v, %v, %d bytes read", name, wrong, err, body.n)
		}
	}
}

type countingReader struct {
	io.Reader
	n int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

func TestCached(t *testing.T) {
	for text, want := range map[string]bool{
		"Hit from cloudfront": true, "RefreshHit from cloudfront": false, "Miss from cloudfront": false,
		"TCP_REFRESH_HIT": false, "TCP_MEM_HIT": true, "RefreshHit from cloudfront, HIT": true,
	} {
		a := answer{header: http.Header{"X-Cache": {text}}}
		if got := a.cached(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if a := (answer{header: http.Header{"Age": {"9223372037"}}}); !a.cached() {
		t.Error("a huge Age is none")
	}
}

func TestFresh(t *testing.T) {
	const ever = time.Second << 31
	for text, want := range map[string]time.Duration{
		"": -1, "no-cache": 0, "max-age=60": time.Minute, `max-age="60"`: time.Minute, "max-age=-1": -1,
		"max-age=9223372037": ever, "max-age=60, stale-while-revalidate=30": 90 * time.Second, "stale-while-revalidate=30": 30 * time.Second,
		"no-cache, stale-while-revalidate=30": 0, "max-age=0": 0, "s-maxage=99999999999999999999": ever,
	} {
		a := answer{header: http.Header{"Cache-Control": {text}}}
		got, known := a.fresh()
		if !known {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
