# What AWS would answer, for the tests that apply: Terraform makes up the rest. The provider wants ARNs that look like
# ARNs, and tests see by them which of two resources is meant.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { region = "us-east-1" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::bucket" }
}

mock_resource "aws_cloudfront_distribution" {
  defaults = { arn = "arn:aws:cloudfront::123456789012:distribution/ONE" }
}

mock_resource "aws_cloudfront_function" {
  defaults = { arn = "arn:aws:cloudfront::123456789012:function/one" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/one" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:one" }
}

mock_resource "aws_scheduler_schedule_group" {
  defaults = { arn = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/one" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:us-east-1:123456789012:one" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/scheduler" }
}

override_resource {
  target = aws_iam_role.signer["publish"]
  values = { arn = "arn:aws:iam::123456789012:role/publish" }
}

override_resource {
  target = aws_iam_role.signer["refresh"]
  values = { arn = "arn:aws:iam::123456789012:role/refresh" }
}

override_resource {
  target = aws_lambda_function.signer["publish"]
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:publish" }
}

override_resource {
  target = aws_lambda_function.signer["refresh"]
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:refresh" }
}

override_resource {
  target = aws_sqs_queue.dead["publish"]
  values = { arn = "arn:aws:sqs:us-east-1:123456789012:publish" }
}

override_resource {
  target = aws_sqs_queue.dead["refresh"]
  values = { arn = "arn:aws:sqs:us-east-1:123456789012:refresh" }
}
