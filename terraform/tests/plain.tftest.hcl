# Plain: with the provider itself, and plans alone, so that nothing is made whoever runs this where. The credentials are
# none, nothing is looked up with them, and what the provider would ask AWS is said here. It shows what mocks cannot: that
# the provider takes the values, and what they are before anything exists.

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.this
  values = { account_id = "123456789012" }
}

override_data {
  target = data.aws_partition.this
  values = { partition = "aws" }
}

override_data {
  target = data.aws_region.this
  values = { region = "eu-central-1" }
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = { delegates = { ci = ["releases/"] } } }
}

run "defaults" {
  command = plan

  assert {
    condition     = [aws_s3_bucket.public.bucket, aws_s3_bucket.inbox.bucket] == ["publisher-public-123456789012-eu-central-1", "publisher-inbox-123456789012-eu-central-1"]
    error_message = "The buckets have other names."
  }
  assert {
    condition     = { for f, a in aws_lambda_function.signer : f => [a.function_name, a.runtime, a.architectures[0], a.memory_size, a.timeout, a.reserved_concurrent_executions] } == { publish = ["publisher-publish", "provided.al2023", "arm64", 1024, 300, -1], refresh = ["publisher-refresh", "provided.al2023", "arm64", 256, 900, -1] }
    error_message = "The functions are others."
  }
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.collection)) == toset(["example.com/scripts-failures", "example.com/scripts-lost", "example.com/scripts-quarantined"]) && keys(aws_cloudwatch_metric_alarm.expiry) == ["example.com/scripts"]
    error_message = "A collection that is named has other alarms."
  }
  assert {
    condition     = { for f, s in aws_scheduler_schedule.this : f => s.schedule_expression } == { publish = "rate(15 minutes)", refresh = "rate(1 hour)" }
    error_message = "The functions wake at other times."
  }
  assert {
    condition     = alltrue([for e in aws_cloudfront_distribution.this.custom_error_response : e.error_caching_min_ttl == 0 && e.response_code == null && (e.response_page_path == null || e.response_page_path == "")])
    error_message = "Errors are cached, or turned into something else."
  }
  assert {
    condition     = output.online == "lambda:publisher-publish?region=eu-central-1"
    error_message = "What to type is not known before it is there."
  }
}

run "everything" {
  command = plan
  variables {
    name                = "updates"
    public_bucket       = "updates.example.com"
    inbox_bucket        = "updates-inbox.example.com"
    signer_architecture = "x86_64"
    domains             = ["updates.example.com"]
    certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    web_acl_arn         = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/updates/00000000-0000-0000-0000-000000000000"
    access_log_bucket   = "logs.s3.amazonaws.com"
    price_class         = "PriceClass_All"
    object_lock_days    = 30
    publish_concurrency = 10
    refresh_concurrency = 2
    alarm_actions       = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
    tags                = { service = "updates" }
  }
  assert {
    condition     = [for c in aws_cloudfront_distribution.this.viewer_certificate : [c.acm_certificate_arn, c.ssl_support_method, c.minimum_protocol_version, c.cloudfront_default_certificate]] == [[var.certificate_arn, "sni-only", "TLSv1.2_2021", false]]
    error_message = "The domain is served with another certificate, or by old TLS."
  }
  assert {
    condition     = aws_cloudfront_distribution.this.aliases == toset(["updates.example.com"]) && aws_cloudfront_distribution.this.web_acl_id == var.web_acl_arn && aws_cloudfront_distribution.this.price_class == "PriceClass_All" && [for l in aws_cloudfront_distribution.this.logging_config : [l.bucket, l.prefix]] == [["logs.s3.amazonaws.com", "updates/"]]
    error_message = "The distribution is not what was asked for."
  }
  assert {
    condition     = { for f, a in aws_lambda_function.signer : f => [a.function_name, a.architectures[0], a.reserved_concurrent_executions] } == { publish = ["updates-publish", "x86_64", 10], refresh = ["updates-refresh", "x86_64", 2] }
    error_message = "The functions are not what was asked for."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.clock.alarm_actions == toset(var.alarm_actions) && aws_cloudwatch_metric_alarm.clock.alarm_name == "updates-clock"
    error_message = "Nobody is told."
  }
}
