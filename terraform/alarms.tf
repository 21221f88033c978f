locals {
  namespace = "Publisher"

  # What is counted for each function, and how much of it is too much.
  function_alarms = { for pair in setproduct(keys(local.functions), ["Errors", "Throttles"]) :
    "${pair[0]}-${lower(pair[1])}" => { function = pair[0], metric = pair[1] }
  }

  # What the signer counts for each collection.
  collection_alarms = { for pair in setproduct(keys(var.collections), ["Failures", "Quarantined"]) :
    "${pair[0]}-${lower(pair[1])}" => { collection = pair[0], metric = pair[1], periods = pair[1] == "Failures" ? 3 : 1 }
  }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.metric == "Errors" ? "The signer fails. docs/operations.md: What it says" : "The signer is held back: raise its reserved concurrency, or the account's"
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = local.function_names[each.value.function] }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  for_each = local.functions

  alarm_name          = "${var.name}-${each.key}-dead"
  alarm_description   = "Events that the signer failed on for good lie in ${local.function_names[each.key]}-dead. Read them, find the cause in the log, empty the queue"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

# The one to have: nobody renews the timestamp. A schedule that does not run sends no data at all, so that missing data
# is as bad as a short life.
resource "aws_cloudwatch_metric_alarm" "expiry" {
  for_each = var.collections

  alarm_name          = "${var.name}-${each.key}-expiry"
  alarm_description   = "The timestamp of ${each.key} is not renewed. docs/operations.md: The signer was down for a week"
  namespace           = local.namespace
  metric_name         = "SecondsToExpiry"
  dimensions          = { Collection = each.key, Role = "timestamp" }
  statistic           = "Minimum"
  period              = 3600
  evaluation_periods  = 6
  datapoints_to_alarm = 6
  comparison_operator = "LessThanThreshold"
  threshold           = var.expiry_alarm_seconds
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "collection" {
  for_each = local.collection_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.metric == "Quarantined" ? "A bug: the signer put a submission to ${each.value.collection} aside. docs/operations.md: A quarantined submission" : "The signer fails on ${each.value.collection}. docs/operations.md: What it says"
  namespace           = local.namespace
  metric_name         = each.value.metric
  dimensions          = { Collection = each.value.collection }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

# A function whose clock is off signs nothing, and says so.
resource "aws_cloudwatch_log_metric_filter" "clock" {
  for_each = local.functions

  name           = "${var.name}-${each.key}-clock"
  log_group_name = aws_cloudwatch_log_group.signer[each.key].name
  pattern        = "\"the clock here says\""

  metric_transformation {
    namespace     = local.namespace
    name          = "${var.name}-ClockOff"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "clock" {
  alarm_name          = "${var.name}-clock"
  alarm_description   = "The clocks of the signer and of S3 are more than five minutes apart. docs/operations.md: The clock is off"
  namespace           = local.namespace
  metric_name         = "${var.name}-ClockOff"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for i, w in [
      {
        title   = "Days to expiry"
        metrics = [[{ expression = "SEARCH('{${local.namespace},Collection,Role} MetricName=\"SecondsToExpiry\"', 'Minimum', 3600)/86400", id = "days", label = "" }]]
      },
      {
        title   = "Commits, refusals, conflicts"
        metrics = [for m in ["Commits", "Rejections", "Conflicts"] : [{ expression = "SUM(SEARCH('{${local.namespace},Collection} MetricName=\"${m}\"', 'Sum', 3600))", id = lower(m), label = m }]]
      },
      {
        title   = "Refreshes, failures, quarantined"
        metrics = [for m in ["Refreshes", "Failures", "Quarantined"] : [{ expression = "SUM(SEARCH('{${local.namespace},Collection} MetricName=\"${m}\"', 'Sum', 3600))", id = lower(m), label = m }]]
      },
      {
        title = "Functions"
        metrics = flatten([for f in keys(local.functions) : [for m in ["Invocations", "Errors", "Throttles"] :
          [["AWS/Lambda", m, "FunctionName", local.function_names[f], { stat = "Sum", label = "${f} ${m}" }]]
        ]])
      },
      ] : {
      type   = "metric"
      x      = 12 * (i % 2)
      y      = 6 * floor(i / 2)
      width  = 12
      height = 6
      properties = {
        title   = w.title
        region  = local.region
        view    = "timeSeries"
        period  = 3600
        metrics = w.metrics
      }
    }]
  })
}
