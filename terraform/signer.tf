# The signer: one program, and two functions of it, so that refreshing never waits behind submissions.

resource "aws_cloudwatch_log_group" "signer" {
  for_each = local.functions

  name              = "/aws/lambda/${local.function_names[each.key]}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# Events that a function failed on for good. Nothing is lost with them, as every run reads the state: they tell that
# something is wrong.
resource "aws_sqs_queue" "dead" {
  for_each = local.functions

  name                      = "${local.function_names[each.key]}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "dead" {
  for_each = local.functions

  queue_url = aws_sqs_queue.dead[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLSOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["sqs:*"]
      Resource  = [aws_sqs_queue.dead[each.key].arn]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_iam_role" "signer" {
  for_each = local.functions

  name = local.function_names[each.key]
  tags = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Run"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

resource "aws_iam_role_policy" "stores" {
  for_each = local.functions

  name   = "stores"
  role   = aws_iam_role.signer[each.key].id
  policy = module.policies.signer[each.key]
}

resource "aws_iam_role_policy" "runtime" {
  for_each = local.functions

  name = "runtime"
  role = aws_iam_role.signer[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.signer[each.key].arn}:*"]
      },
      {
        Sid      = "BuryEvents"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead[each.key].arn]
      },
    ]
  })
}

locals {
  # What both functions are told, and what that will look like as far as a plan can know.
  environment = { for which, keys in local.keys_environment : which => merge(
    {
      PUBLISHER_STORE  = "s3://${local.public_bucket}"
      PUBLISHER_INBOX  = "s3://${local.inbox_bucket}"
      PUBLISHER_KEYS   = keys
      PUBLISHER_CREATE = join(",", var.create)
    },
    var.measure_all ? {} : { PUBLISHER_METRICS = join(",", sort(keys(var.collections))) },
    length(var.genesis) == 0 ? {} : { PUBLISHER_GENESIS = join(",", [for c, sum in var.genesis : "${c}=${sum}"]) },
  ) }
}

resource "aws_lambda_function" "signer" {
  for_each = local.functions

  function_name                  = local.function_names[each.key]
  description                    = "publisher's online signer: ${each.key}"
  role                           = aws_iam_role.signer[each.key].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.signer_architecture]
  filename                       = var.signer_zip
  source_code_hash               = filebase64sha256(var.signer_zip)
  memory_size                    = each.value.memory
  timeout                        = each.value.timeout
  reserved_concurrent_executions = each.value.concurrency
  tags                           = var.tags

  environment {
    variables = merge(local.environment.made, { PUBLISHER_FUNCTION = each.key })
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead[each.key].arn
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.signer[each.key].name
  }

  lifecycle {
    precondition {
      condition     = length(jsonencode(merge(local.environment.expected, { PUBLISHER_FUNCTION = each.key }))) <= 4096
      error_message = "The environment of a function has 4,096 bytes at most, and this one ${length(jsonencode(merge(local.environment.expected, { PUBLISHER_FUNCTION = each.key })))}. Its length is that of create, genesis, signing_keys, and, with measure_all off, of the names in collections: give less of them, or deploy the module again for others."
    }
  }

  depends_on = [aws_iam_role_policy.stores, aws_iam_role_policy.runtime, aws_s3_bucket.public, aws_s3_bucket.inbox]
}

# Events older than the next run of the schedule are no use.
resource "aws_lambda_function_event_invoke_config" "signer" {
  for_each = local.functions

  function_name                = aws_lambda_function.signer[each.key].function_name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2
}

# A submission that nobody waits for is swept as soon as its manifest is there.
resource "aws_lambda_permission" "inbox" {
  statement_id   = "InboxTells"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.signer["publish"].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.inbox.arn
  source_account = local.account
}

resource "aws_s3_bucket_notification" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  lambda_function {
    id                  = "submissions"
    lambda_function_arn = aws_lambda_function.signer["publish"].arn
    events              = ["s3:ObjectCreated:*"]
    filter_suffix       = ".json"
  }

  depends_on = [aws_lambda_permission.inbox]
}
