package doctor

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"
	"time"
)

// TestSample: what is too large to be read at once is compared as far as it was.
func TestSample(t *testing.T) {
	large := bytes.Repeat([]byte("x"), maxAnswer+10)
	read := large[:maxAnswer]
	other := append(bytes.Clone(read[1:]), 'y')
	for name, row := range map[string]struct {
		answer answer
		sample sample
		want   bool
	}{
		"whole":                 {answer{body: []byte("abc")}, sample{data: []byte("abc"), size: 3}, true},
		"other bytes":           {answer{body: []byte("abd")}, sample{data: []byte("abc"), size: 3}, false},
		"only the size known":   {answer{body: []byte("abd")}, sample{size: 3}, true},
		"shorter":               {answer{body: []byte("ab")}, sample{size: 3}, false},
		"cut":                   {answer{body: read, cut: true}, sample{data: large, size: int64(len(large))}, true},
		"cut, other bytes":      {answer{body: other, cut: true}, sample{data: large, size: int64(len(large))}, false},
		"cut, size known":       {answer{body: read, cut: true}, sample{size: int64(len(large))}, true},
		"cut, though not large": {answer{body: read, cut: true}, sample{size: 3}, false},
	} {
		if got := row.answer.has(row.sample); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestGunzip: what decompresses to more than it should does not pass for it.
func TestGunzip(t *testing.T) {
	large := bytes.Repeat([]byte("x"), maxAnswer+10)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(large)
	_ = z.Close()
	for _, size := range []int64{3, maxAnswer, int64(len(large)) - 1, int64(len(large)), int64(len(large)) + 1} {
		plain, err := gunzip(b.Bytes(), size)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{size: size}
		if got, want := s.is(plain), size == int64(len(large)); got != want || int64(len(plain)) > size+1 {
			t.Errorf("as %d bytes: %v, %d were read", size, got, len(plain))
		}
	}
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
		"max-age=9223372037": ever, "s-maxage=99999999999999999999": ever,
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
