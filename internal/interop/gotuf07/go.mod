module publisher/internal/interop/gotuf07

go 1.26.0

require github.com/theupdateframework/go-tuf v0.7.0

require (
	github.com/secure-systems-lab/go-securesystemslib v0.7.0 // indirect
	golang.org/x/crypto v0.57.0 // indirect
)
