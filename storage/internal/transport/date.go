package transport

import (
	"context"
	"net/http"

	"publisher/storage"
)

// TellDate is storage.TellDate with what the header of an answer says.
func TellDate(ctx context.Context, header http.Header) {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		storage.TellDate(ctx, at)
	}
}
