# The functions: what they are told, what they may do, who may wake them. Mocked: nobody is asked, and nothing is made.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_s3_bucket.inbox
  values = { arn = "arn:aws:s3:::the-inbox" }
}

override_resource {
  target = aws_cloudwatch_log_group.signer["publish"]
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:publish" }
}

override_resource {
  target = aws_cloudwatch_log_group.signer["refresh"]
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:refresh" }
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = { delegates = { ci = ["releases/"] } } }
}

run "functions" {
  command = apply

  assert {
    condition     = { for f, a in aws_lambda_function.signer : f => [a.function_name, a.runtime, a.handler, a.architectures[0], a.memory_size, a.timeout, a.reserved_concurrent_executions] } == { publish = ["publisher-publish", "provided.al2023", "bootstrap", "arm64", 1024, 300, -1], refresh = ["publisher-refresh", "provided.al2023", "bootstrap", "arm64", 256, 900, -1] }
    error_message = "The functions are others."
  }
  assert {
    condition = { for f, a in aws_lambda_function.signer : f => a.environment[0].variables } == { for f in ["publish", "refresh"] : f => tomap({
      PUBLISHER_STORE    = "s3://publisher-public-123456789012-us-east-1"
      PUBLISHER_INBOX    = "s3://publisher-inbox-123456789012-us-east-1"
      PUBLISHER_KEYS     = "sealed:kms:${aws_kms_key.seal.arn}"
      PUBLISHER_CREATE   = "example.com/"
      PUBLISHER_FUNCTION = f
    }) }
    error_message = "The functions are told something else."
  }
  assert {
    condition     = aws_lambda_function.signer["publish"].source_code_hash == aws_lambda_function.signer["refresh"].source_code_hash && alltrue([for a in values(aws_lambda_function.signer) : a.filename == var.signer_zip])
    error_message = "The functions are not one program that does two things."
  }
  assert {
    condition     = { for f, a in aws_lambda_function.signer : f => [a.role, a.dead_letter_config[0].target_arn, a.logging_config[0].log_format, a.logging_config[0].log_group] } == { for f in ["publish", "refresh"] : f => [aws_iam_role.signer[f].arn, aws_sqs_queue.dead[f].arn, "JSON", "/aws/lambda/publisher-${f}"] }
    error_message = "A function has no role, no queue for what it failed on, or no log, or that of the other one."
  }
  assert {
    condition     = { for f, g in aws_cloudwatch_log_group.signer : f => [g.name, g.retention_in_days] } == { for f in ["publish", "refresh"] : f => ["/aws/lambda/publisher-${f}", 90] }
    error_message = "A function logs for ever, or elsewhere."
  }
  assert {
    condition     = { for f, c in aws_lambda_function_event_invoke_config.signer : f => [c.function_name, c.maximum_event_age_in_seconds, c.maximum_retry_attempts] } == { for f in ["publish", "refresh"] : f => ["publisher-${f}", 3600, 2] }
    error_message = "Events are not tried again, or for too long."
  }

  assert {
    condition     = alltrue([for r in values(aws_iam_role.signer) : jsondecode(r.assume_role_policy).Statement == [{ Sid = "Run", Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = ["sts:AssumeRole"] }]])
    error_message = "Somebody else than Lambda may take a signer's role."
  }
  assert {
    condition     = { for f, p in aws_iam_role_policy.stores : f => [p.role, p.policy] } == { for f in ["publish", "refresh"] : f => [aws_iam_role.signer[f].id, module.policies.signer[f]] }
    error_message = "A function has the other one's policy."
  }
  assert {
    condition = { for f, p in aws_iam_role_policy.runtime : f => [p.role, jsondecode(p.policy).Statement] } == { for f in ["publish", "refresh"] : f => [aws_iam_role.signer[f].id, [
      { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:us-east-1:123456789012:log-group:${f}:*"] },
      { Sid = "BuryEvents", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.dead[f].arn] },
    ]] }
    error_message = "A function cannot log, or leave what it failed on, or may do more."
  }
  assert {
    condition = { for f, p in aws_sqs_queue_policy.dead : f => [p.queue_url, jsondecode(p.policy).Statement] } == { for f in ["publish", "refresh"] : f => [aws_sqs_queue.dead[f].id, [
      { Sid = "TLSOnly", Effect = "Deny", Principal = "*", Action = ["sqs:*"], Resource = [aws_sqs_queue.dead[f].arn], Condition = { Bool = { "aws:SecureTransport" = "false" } } },
    ]] }
    error_message = "A queue takes requests without TLS, or from anybody."
  }

  assert {
    condition     = [for p in [aws_lambda_permission.inbox] : [p.action, p.function_name, p.principal, p.source_account, p.source_arn]] == [["lambda:InvokeFunction", "publisher-publish", "s3.amazonaws.com", "123456789012", "arn:aws:s3:::the-inbox"]]
    error_message = "Another bucket may wake the signer, or the inbox not."
  }
  assert {
    condition     = [for n in aws_s3_bucket_notification.inbox.lambda_function : [n.lambda_function_arn, join(",", n.events), n.filter_suffix]] == [[aws_lambda_function.signer["publish"].arn, "s3:ObjectCreated:*", ".json"]] && aws_s3_bucket_notification.inbox.bucket == aws_s3_bucket.inbox.id
    error_message = "Submissions do not wake the signer, or every part does."
  }
  assert {
    condition     = local.function_arns == { for f in ["publish", "refresh"] : f => "arn:aws:lambda:us-east-1:123456789012:function:publisher-${f}" } && output.url == "https://${aws_cloudfront_distribution.this.domain_name}"
    error_message = "Publishers may invoke another function than there is, or pullers are told another domain."
  }
  assert {
    condition     = [output.store, output.inbox, output.online] == ["s3://${aws_s3_bucket.public.id}?region=us-east-1", "s3://${aws_s3_bucket.inbox.id}?region=us-east-1", "lambda:publisher-publish?region=us-east-1"]
    error_message = "What to type is wrong."
  }
}

run "more_is_said" {
  command = plan
  variables {
    create      = ["example.com", "example.org/x-"]
    genesis     = { "example.com/scripts" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    measure_all = false

    domains         = ["updates.example.com"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  }
  assert {
    condition     = output.url == "https://updates.example.com"
    error_message = "Pullers are told another domain."
  }
  assert {
    condition = local.environment.expected == {
      PUBLISHER_STORE   = "s3://publisher-public-123456789012-us-east-1"
      PUBLISHER_INBOX   = "s3://publisher-inbox-123456789012-us-east-1"
      PUBLISHER_KEYS    = "sealed:kms:arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
      PUBLISHER_CREATE  = "example.com,example.org/x-"
      PUBLISHER_METRICS = "example.com/scripts"
      PUBLISHER_GENESIS = "example.com/scripts=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
    error_message = "The functions are told something else."
  }
}

# A function's environment has 4 KB.
run "too_many_names_to_measure" {
  command = plan
  variables {
    collections = { for i in range(200) : format("example.com/a-collection-%03d", i) => {} }
    measure_all = false
  }
  expect_failures = [aws_lambda_function.signer]
}

run "too_many_keys" {
  command = plan
  variables {
    collections  = { for i in range(20) : format("example.com/a-collection-%03d", i) => {} }
    signing_keys = { for i in range(20) : format("example.com/a-collection-%03d", i) => {} }
  }
  expect_failures = [aws_lambda_function.signer]
}
