# The least that serves a collection: everything else has a default.

provider "aws" {
  region = "eu-central-1"
}

module "publisher" {
  source = "../.."

  signer_zip = "${path.module}/../../../dist/lambda-arm64.zip"
  create     = ["example.com/"]
}
