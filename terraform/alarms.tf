locals {
  namespace = "Publisher"

  # What is counted for each function.
  function_alarms = { for pair in setproduct(keys(local.functions), ["Errors", "Throttles"]) :
    "${pair[0]}-${lower(pair[1])}" => { function = pair[0], metric = pair[1] }
  }

  # How often each function runs at least, for an alarm tells two failed runs of three by periods of that length. Of
  # schedules that are no rate it is not known: they are taken to be daily, which is what an alarm can look back at most.
  rates = { for f, expression in local.schedules : f => try(regex("^rate\\(([0-9]+) (minute|hour|day)s?\\)$", expression), ["1", "day"]) }
  periods = { for f, rate in local.rates :
    f => max(900, min(86400, tonumber(rate[0]) * { minute = 60, hour = 3600, day = 86400 }[rate[1]]))
  }

  # The signer's own metrics come with its runs.
  run = max(3600, local.periods["refresh"])

  # What the signer counts for each collection, in how many runs in a row it is too much, and what it means then.
  collection_metrics = {
    Failures    = { periods = 3, means = "The signer fails on %s. docs/operations.md: What it says" }
    Lost        = { periods = 1, means = "What was published of %s is gone from the public bucket, or older. docs/operations.md: A collection was deleted by mistake" }
    Quarantined = { periods = 1, means = "A bug: the signer put a submission to %s aside. docs/operations.md: A quarantined submission" }
  }
  collection_alarms = { for pair in setproduct(keys(var.collections), keys(local.collection_metrics)) :
    "${pair[0]}-${lower(pair[1])}" => { collection = pair[0], metric = pair[1] }
  }

  # An alarm has a name of 255 characters at most, and a collection may have one of almost that.
  alarm_names = { for c in keys(var.collections) : c => length(c) <= 200 ? c : "${substr(c, 0, 180)}-${substr(sha256(c), 0, 16)}" }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.metric == "Errors" ? "The signer fails. docs/operations.md: What it says" : "The signer is held back: raise its reserved concurrency, or the account's"
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = local.function_names[each.value.function] }
  statistic           = "Sum"
  period              = local.periods[each.value.function]
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

  alarm_name          = "${var.name}-${local.alarm_names[each.key]}-expiry"
  alarm_description   = "The timestamp of ${each.key} is not renewed. docs/operations.md: The signer was down for a week"
  namespace           = local.namespace
  metric_name         = "SecondsToExpiry"
  dimensions          = { Collection = each.key, Role = "timestamp" }
  statistic           = "Minimum"
  period              = local.run
  evaluation_periods  = max(2, floor(21600 / local.run))
  comparison_operator = "LessThanThreshold"
  threshold           = var.expiry_alarm_seconds
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "collection" {
  for_each = local.collection_alarms

  alarm_name          = "${var.name}-${local.alarm_names[each.value.collection]}-${lower(each.value.metric)}"
  alarm_description   = format(local.collection_metrics[each.value.metric].means, each.value.collection)
  namespace           = local.namespace
  metric_name         = each.value.metric
  dimensions          = { Collection = each.value.collection }
  statistic           = "Sum"
  period              = local.run
  evaluation_periods  = local.collection_metrics[each.value.metric].periods
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
        title   = "Refreshes, failures, lost, quarantined"
        metrics = [for m in ["Refreshes", "Failures", "Lost", "Quarantined"] : [{ expression = "SUM(SEARCH('{${local.namespace},Collection} MetricName=\"${m}\"', 'Sum', 3600))", id = lower(m), label = m }]]
      },
      {
        title = "Functions"
        metrics = [for pair in setproduct(keys(local.functions), ["Invocations", "Errors", "Throttles"]) :
          ["AWS/Lambda", pair[1], "FunctionName", local.function_names[pair[0]], { stat = "Sum", label = join(" ", pair) }]
        ]
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
