# What wakes the functions. Mocked: nobody is asked, and nothing is made.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip = "tests/files/empty.zip"
  create     = ["example.com/"]
}

run "schedules" {
  command = apply

  assert {
    condition     = { for f, s in aws_scheduler_schedule.this : f => [s.schedule_expression, s.target[0].arn, s.target[0].dead_letter_config[0].arn] } == { for f, every in { publish = "rate(15 minutes)", refresh = "rate(1 hour)" } : f => [every, aws_lambda_function.signer[f].arn, aws_sqs_queue.dead[f].arn] }
    error_message = "A schedule wakes the other function, at another time, or leaves what failed with the other one."
  }
  assert {
    condition     = alltrue([for s in values(aws_scheduler_schedule.this) : s.group_name == aws_scheduler_schedule_group.this.name && s.target[0].role_arn == aws_iam_role.scheduler.arn && s.flexible_time_window[0].mode == "OFF"])
    error_message = "A schedule has a group or a role that cannot wake the functions, or comes when it likes."
  }
  assert {
    condition     = alltrue([for s in values(aws_scheduler_schedule.this) : [for r in s.target[0].retry_policy : [r.maximum_event_age_in_seconds, r.maximum_retry_attempts]] == [[3600, 5]]])
    error_message = "A schedule does not retry."
  }
  assert {
    condition     = alltrue([for s in values(aws_scheduler_schedule.this) : s.target[0].input == jsonencode({ source = "aws.scheduler", "detail-type" = "Scheduled Event", detail = {} })])
    error_message = "The function would not know the event."
  }
  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement == [{
      Sid       = "OnlyThisGroup"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnEquals    = { "aws:SourceArn" = aws_scheduler_schedule_group.this.arn }
      }
    }]
    error_message = "Other schedules may wake the functions, or other accounts."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.scheduler.policy).Statement == [
      {
        Sid      = "Wake"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [aws_lambda_function.signer["publish"].arn, aws_lambda_function.signer["refresh"].arn]
      },
      {
        Sid      = "BuryEvents"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead["publish"].arn, aws_sqs_queue.dead["refresh"].arn]
      },
    ] && aws_iam_role_policy.scheduler.role == aws_iam_role.scheduler.id
    error_message = "The schedules may do something else than wake the functions, or less."
  }
}
