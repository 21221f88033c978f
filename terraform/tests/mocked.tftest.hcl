# The same with a provider that Terraform mocks, which invents what AWS would answer: for machines that reach neither the
# registry's provider nor AWS, and to see that nothing depends on how values look.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "210987654321" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws-us-gov" }
  }
  mock_data "aws_region" {
    defaults = { region = "us-gov-west-1" }
  }
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = {} }
}

run "another_partition" {
  command = apply
  assert {
    condition     = alltrue([for f, arn in local.function_arns : arn == "arn:aws-us-gov:lambda:us-gov-west-1:210987654321:function:publisher-${f}"])
    error_message = "ARNs are of another partition."
  }
  assert {
    condition     = alltrue([for p in concat(values(module.policies.signer), values(module.policies.publishers), [module.policies.gc, aws_s3_bucket_policy.public.policy, aws_s3_bucket_policy.inbox.policy]) : !strcontains(p, "arn:aws:")])
    error_message = "A policy speaks of another partition."
  }
  assert {
    condition     = aws_s3_bucket.public.bucket == "publisher-public-210987654321-us-gov-west-1"
    error_message = "The bucket's name does not say where it is."
  }
}
