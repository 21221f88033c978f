locals {
  # Both get the event of a schedule; each does its half of what that is for.
  schedules = { refresh = var.refresh_schedule, publish = var.sweep_schedule }
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_iam_role" "scheduler" {
  name = "${var.name}-scheduler"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyThisGroup"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = aws_scheduler_schedule_group.this.arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "wake"
  role = aws_iam_role.scheduler.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Wake"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [for f in sort(keys(local.schedules)) : aws_lambda_function.signer[f].arn]
      },
      {
        Sid      = "BuryEvents"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [for f in sort(keys(local.schedules)) : aws_sqs_queue.dead[f].arn]
      },
    ]
  })
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name                = local.function_names[each.key]
  group_name          = aws_scheduler_schedule_group.this.name
  description         = each.key == "refresh" ? "renew what is due" : "sweep the inbox"
  schedule_expression = each.value

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.signer[each.key].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ source = "aws.scheduler", "detail-type" = "Scheduled Event", detail = {} })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 5
    }
    dead_letter_config {
      arn = aws_sqs_queue.dead[each.key].arn
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}
