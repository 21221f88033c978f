# The least that serves a collection: everything else has a default.

terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

module "publisher" {
  source = "../.."

  signer_zip = "${path.module}/../../../dist/lambda-arm64.zip"
  create     = ["example.com/"]
}

output "init" {
  description = "The command that makes a collection."
  value       = "publisher init example.com/scripts --store '${module.publisher.store}' --inbox '${module.publisher.inbox}' --online '${module.publisher.online}'"
}

output "url" {
  description = "Where pullers read."
  value       = module.publisher.url
}
