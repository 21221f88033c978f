#!/bin/sh
# Provisions the emulator once it is ready, by the requests that make of the Terraform module what an emulator has. Its
# functions reach it by a name that has a certificate: the signer speaks plain HTTP to its own machine only.
set -eu
exec "${PUBLISHER_E2E:-/opt/publisher/e2e}" --provision-only \
  --endpoint "${PUBLISHER_ENDPOINT:-http://127.0.0.1:4566}" \
  --function-endpoint "${PUBLISHER_FUNCTION_ENDPOINT:-https://localhost.localstack.cloud:4566}" \
  --zip "${PUBLISHER_ZIP:-/opt/publisher/signer.zip}" --arch "${PUBLISHER_LAMBDA_ARCH:-x86_64}"
