# publisher on AWS: two buckets, a CDN, and one program that runs as two functions. The files are one subject each:
#
#   buckets.tf    the public bucket and the inbox
#   cdn.tf        what pullers reach
#   keys.tf       KMS
#   signer.tf     the functions
#   schedule.tf   what wakes them
#   alarms.tf     what wakes people
#
# Who may do what with the buckets is in modules/policies.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {
  lifecycle {
    postcondition {
      condition     = self.partition == "aws"
      error_message = "${self.partition} has not all of CloudFront that this module needs. The documents of modules/policies are for every partition; docs/self-hosting.md says what a CDN of your own has to do."
    }
  }
}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region

  public_bucket = coalesce(var.public_bucket, "${var.name}-public-${local.account}-${local.region}")
  inbox_bucket  = coalesce(var.inbox_bucket, "${var.name}-inbox-${local.account}-${local.region}")

  functions = {
    publish = { memory = var.publish_memory, concurrency = var.publish_concurrency, timeout = 300 }
    refresh = { memory = var.refresh_memory, concurrency = var.refresh_concurrency, timeout = 900 }
  }

  # Names, not references: the policies are written before the functions exist, and can be read in a plan.
  function_names = { for f in keys(local.functions) : f => "${var.name}-${f}" }
  function_arns = { for f, name in local.function_names :
    f => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${name}"
  }
}

module "policies" {
  source = "./modules/policies"

  partition           = local.partition
  public_bucket       = local.public_bucket
  inbox_bucket        = local.inbox_bucket
  collections         = var.collections
  signer_function_arn = local.function_arns["publish"]
}
