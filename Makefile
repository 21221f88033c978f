# What is shipped is built without cgo, so that is what is built and tested here; only the race detector needs it.
export CGO_ENABLED = 0
export TERRAFORM_CHECK ?= $(wildcard ../shared/tools/terraform-check/terraform-check)

SHELL       = bash
.SHELLFLAGS = -euo pipefail -c

TESTFLAGS ?=
FUZZTIME  ?= 60s

# What goes on at once is in these; the S3 drivers add single requests to it, which the real servers' suites test.
RACE      = ./storage ./storage/dir ./storage/web ./storage/storagetest ./repo ./lambda ./trust
TOOL      = go tool -modfile=tools/go.mod
SYSTEMS   = linux darwin windows
CHECKS    = inherit,ST1000,ST1003,ST1016,ST1020,ST1021,ST1022

# go test succeeds when a pattern matches nothing: $(call exists,PATTERN,PACKAGES) does not.
exists = go test -list '$(1)' $(2) | grep '^\(Test\|Fuzz\)' >/dev/null || { echo "no test matches $(1) in $(2)" >&2; exit 1; }

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/publisher
	go build -trimpath -o bin/publisher ./cmd/publisher

LAMBDAS = arm64 amd64

.PHONY: lambda
lambda: $(LAMBDAS:%=dist/lambda-%.zip) ## build the zips of the online signer for AWS Lambda, byte for byte the same each time

.PHONY: $(LAMBDAS:%=dist/lambda-%.zip)
$(LAMBDAS:%=dist/lambda-%.zip): dist/lambda-%.zip:
	@mkdir -p dist/lambda-$*
	GOOS=linux GOARCH=$* go build -trimpath -buildvcs=false -tags=lambda.norpc -ldflags '-s -w -buildid=' -o dist/lambda-$*/bootstrap ./lambda/bootstrap
	go run ./internal/zipone dist/lambda-$*/bootstrap $@

.PHONY: demo
demo: ## publish a collection on this machine and pull it with other people's clients
	@go run ./internal/demo

# LocalStack runs the functions on this machine's processor.
LOCAL_ARCH    := $(shell go env GOARCH)
LOCALSTACK    := docker compose --file localstack/compose.yaml
localstack-%: export PUBLISHER_LAMBDA_ARCH = $(LOCAL_ARCH:amd64=x86_64)
ifdef LOCALSTACK_AUTH_TOKEN
localstack-%: export PUBLISHER_EMULATOR_IMAGE ?= localstack/localstack:latest
endif

.PHONY: localstack-up
localstack-up: dist/lambda-$(LOCAL_ARCH).zip ## start LocalStack in Docker, and provision it
	@mkdir -p dist/localstack
	GOOS=linux go build -trimpath -o dist/localstack/e2e ./localstack/e2e
	cp dist/lambda-$(LOCAL_ARCH).zip dist/localstack/signer.zip
	$(LOCALSTACK) up --detach --wait

.PHONY: localstack-demo
localstack-demo: ## publish, refresh and pull there, and say what that proves
	@go run ./localstack/e2e --endpoint http://127.0.0.1:4566 --events 2m

.PHONY: localstack-down
localstack-down: ## stop LocalStack, and forget what it holds
	$(LOCALSTACK) down --volumes

.PHONY: test
test: ## run all tests, fetching what they need
	go test -timeout 30m $(TESTFLAGS) ./...

.PHONY: race
race: ## run the short tests under the race detector
	CGO_ENABLED=1 go test -timeout 30m -race -short $(TESTFLAGS) $(RACE)

.PHONY: test-minio
test-minio: ## run the tests that need a MinIO server, which is built once and cached
	@$(call exists,MinIO,./storage/...)
	@$(call exists,MinIO,./e2e)
	PUBLISHER_TEST_MINIO=1 go test -timeout 30m -run MinIO $(TESTFLAGS) ./storage/... ./e2e

.PHONY: fuzz
fuzz: ## fuzz the strict gate for FUZZTIME
	@$(call exists,^FuzzCheck$$,./repo/strict)
	go test -run '^$$' -fuzz '^FuzzCheck$$' -fuzztime $(FUZZTIME) ./repo/strict

.PHONY: mutants
mutants: ## turn off one check after the other, and see that a test fails; only=PATTERN: some of them
	PUBLISHER_MUTANTS=$(or $(only),1) nice go test -count=1 -v -timeout 60m -run '^TestMutants$$' ./internal/mutants

.PHONY: bench
bench: ## measure publishing beside other tools
	@go run ./internal/bench

.PHONY: docs
docs: ## generate the command reference again
	go generate ./...

.PHONY: check
check: fmt vet staticcheck vuln terraform workflows lint-docs ## everything that reads the code without running it

.PHONY: fmt
fmt: ## gofmt and tidy modules, as a check
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not formatted, run gofmt -w on:" $$files >&2; exit 1; }
	@for dir in . tools tools/tflint; do \
	  go -C $$dir mod tidy -diff >/dev/null || { echo "not tidy, run: go -C $$dir mod tidy" >&2; exit 1; }; \
	done

.PHONY: vet
vet: $(SYSTEMS:%=vet-%) ## build and vet for every system

.PHONY: $(SYSTEMS:%=vet-%)
$(SYSTEMS:%=vet-%): vet-%:
	GOOS=$* go build ./...
	GOOS=$* go vet ./...

.PHONY: staticcheck
staticcheck: ## staticcheck
	$(TOOL) staticcheck -checks $(CHECKS) ./...

.PHONY: vuln
vuln: ## govulncheck
	@tools/check-vuln ./...

.PHONY: terraform
terraform: ## format, validity and tests of the Terraform modules
	@tools/check-terraform

.PHONY: workflows
workflows: ## actionlint
	$(TOOL) actionlint .github/workflows/*.yml

.PHONY: lint-docs
lint-docs: ## links, anchors and leftovers in pages and comments
	@go run ./internal/docscheck
