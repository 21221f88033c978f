package s3api

import (
	"encoding/base64"
	"strings"
)

// WholeSHA256 returns the checksum of a whole object, as a server stated it;
// nil if it is one of the checksums of parts, or none.
func WholeSHA256(checksum, kind string) []byte {
	if kind == "COMPOSITE" || strings.Contains(checksum, "-") {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(checksum)
	if err != nil || len(sum) != 32 {
		return nil
	}
	return sum
}
