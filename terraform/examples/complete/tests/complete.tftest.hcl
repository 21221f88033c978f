# What is around the module. Mocked: nobody is asked, and nothing is made; the module has tests of its own.

mock_provider "aws" {}

override_module {
  target = module.publisher
  outputs = {
    url                = "https://updates.example.com"
    publisher_policies = { "example.com/scripts" = "{}" }
    delegate_policies  = { "example.com/scripts" = { ci = "[]" } }
  }
}

variables {
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
}

run "complete" {
  command = apply

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id != "alias/aws/sns"
    error_message = "CloudWatch may not publish to a topic that is encrypted with SNS's own key: alarms reach nobody."
  }
  assert {
    condition     = aws_iam_policy.publisher.policy == "{}" && aws_iam_policy.ci.policy == "[]"
    error_message = "A policy is for somebody else."
  }
}
