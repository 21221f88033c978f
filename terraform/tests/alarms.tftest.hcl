# What wakes people. Mocked: nobody is asked, and nothing is made. That the clock's pattern is in what the signer logs is
# tested in lambda.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip    = "tests/files/empty.zip"
  create        = ["example.com/"]
  collections   = { "example.com/scripts" = {} }
  alarm_actions = ["arn:aws:sns:us-east-1:123456789012:on-call"]
}

run "alarms" {
  command = apply

  assert {
    condition     = alltrue([for a in concat(values(aws_cloudwatch_metric_alarm.function), values(aws_cloudwatch_metric_alarm.dead), values(aws_cloudwatch_metric_alarm.expiry), values(aws_cloudwatch_metric_alarm.collection), [aws_cloudwatch_metric_alarm.clock]) : a.alarm_actions == toset(var.alarm_actions) && a.ok_actions == toset(var.alarm_actions)])
    error_message = "An alarm tells nobody, or not that it is over."
  }
  assert {
    condition = { for key, a in aws_cloudwatch_metric_alarm.function : key => [a.alarm_name, a.namespace, a.metric_name, a.dimensions["FunctionName"], a.statistic, a.period, a.evaluation_periods, a.datapoints_to_alarm, a.comparison_operator, a.threshold, a.treat_missing_data] } == {
      "publish-errors"    = ["publisher-publish-errors", "AWS/Lambda", "Errors", "publisher-publish", "Sum", 900, 3, 2, "GreaterThanThreshold", 0, "notBreaching"]
      "publish-throttles" = ["publisher-publish-throttles", "AWS/Lambda", "Throttles", "publisher-publish", "Sum", 900, 3, 2, "GreaterThanThreshold", 0, "notBreaching"]
      "refresh-errors"    = ["publisher-refresh-errors", "AWS/Lambda", "Errors", "publisher-refresh", "Sum", 3600, 3, 2, "GreaterThanThreshold", 0, "notBreaching"]
      "refresh-throttles" = ["publisher-refresh-throttles", "AWS/Lambda", "Throttles", "publisher-refresh", "Sum", 3600, 3, 2, "GreaterThanThreshold", 0, "notBreaching"]
    }
    error_message = "An alarm of a function does not look at two of three of its runs."
  }
  assert {
    condition = { for f, a in aws_cloudwatch_metric_alarm.dead : f => [a.alarm_name, a.namespace, a.metric_name, a.dimensions["QueueName"], a.statistic, a.period, a.evaluation_periods, a.comparison_operator, a.threshold] } == {
      publish = ["publisher-publish-dead", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "publisher-publish-dead", "Maximum", 300, 1, "GreaterThanThreshold", 0]
      refresh = ["publisher-refresh-dead", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "publisher-refresh-dead", "Maximum", 300, 1, "GreaterThanThreshold", 0]
    }
    error_message = "An event may fail for good, and nobody is told."
  }
  assert {
    condition = [for a in values(aws_cloudwatch_metric_alarm.expiry) : [a.alarm_name, a.namespace, a.metric_name, a.dimensions["Collection"], a.dimensions["Role"], length(a.dimensions), a.statistic, a.period, a.evaluation_periods, a.comparison_operator, a.threshold, a.treat_missing_data]] == [
      ["publisher-example.com/scripts-expiry", "Publisher", "SecondsToExpiry", "example.com/scripts", "timestamp", 2, "Minimum", 3600, 6, "LessThanThreshold", 345600, "breaching"]
    ]
    error_message = "Nobody is told when the timestamp is not renewed, or when the schedule does not run."
  }
  assert {
    condition = { for key, a in aws_cloudwatch_metric_alarm.collection : key => [a.alarm_name, a.namespace, a.metric_name, a.dimensions["Collection"], length(a.dimensions), a.statistic, a.period, a.evaluation_periods, a.comparison_operator, a.threshold, a.treat_missing_data] } == {
      "example.com/scripts-failures"    = ["publisher-example.com/scripts-failures", "Publisher", "Failures", "example.com/scripts", 1, "Sum", 3600, 3, "GreaterThanThreshold", 0, "notBreaching"]
      "example.com/scripts-lost"        = ["publisher-example.com/scripts-lost", "Publisher", "Lost", "example.com/scripts", 1, "Sum", 3600, 1, "GreaterThanThreshold", 0, "notBreaching"]
      "example.com/scripts-quarantined" = ["publisher-example.com/scripts-quarantined", "Publisher", "Quarantined", "example.com/scripts", 1, "Sum", 3600, 1, "GreaterThanThreshold", 0, "notBreaching"]
    }
    error_message = "An alarm of a collection is missing, or looks elsewhere."
  }
  assert {
    condition     = alltrue([for a in values(aws_cloudwatch_metric_alarm.collection) : strcontains(a.alarm_description, "example.com/scripts") && strcontains(a.alarm_description, "docs/operations.md: ")])
    error_message = "An alarm does not say what of, or where to go on."
  }

  # The clock: the filter makes the metric that the alarm looks at, of both functions' logs.
  assert {
    condition     = { for f, m in aws_cloudwatch_log_metric_filter.clock : f => [m.log_group_name, m.metric_transformation[0].namespace, m.metric_transformation[0].name, m.metric_transformation[0].value] } == { for f in ["publish", "refresh"] : f => ["/aws/lambda/publisher-${f}", "Publisher", "publisher-ClockOff", "1"] }
    error_message = "A clock that is off is not counted."
  }
  assert {
    condition     = [for a in [aws_cloudwatch_metric_alarm.clock] : [a.namespace, a.metric_name, a.statistic, a.evaluation_periods, a.comparison_operator, a.threshold, a.treat_missing_data]] == [["Publisher", "publisher-ClockOff", "Sum", 1, "GreaterThanThreshold", 0, "notBreaching"]]
    error_message = "Nobody is told when a clock is off."
  }

  # The dashboard, as PutDashboard wants it: widgets beside each other on a grid of 24, with what has to be there.
  assert {
    condition     = [for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [w.type, w.x, w.y, w.width, w.height]] == [["metric", 0, 0, 12, 6], ["metric", 12, 0, 12, 6], ["metric", 0, 6, 12, 6], ["metric", 12, 6, 12, 6]]
    error_message = "Widgets lie on each other, or are missing."
  }
  assert {
    condition     = alltrue([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : keys(w.properties) == ["metrics", "period", "region", "title", "view"] && w.properties.region == "us-east-1" && w.properties.view == "timeSeries" && w.properties.period == 3600])
    error_message = "A widget lacks its region, or has what CloudWatch does not know."
  }
  # A row of metrics is either an expression alone or a namespace, a metric, names and values of dimensions, and options
  # at the end.
  assert {
    condition = alltrue(concat([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for row in w.properties.metrics :
      can(row[0].expression) ?
      length(row) == 1 && keys(row[0]) == ["expression", "id", "label"] && can(regex("^[a-z][a-zA-Z0-9_]*$", row[0].id)) :
      length(row) == 5 && alltrue([for i in range(4) : row[i] == tostring(row[i])]) && keys(row[4]) == ["label", "stat"]
    ]]...))
    error_message = "CloudWatch would refuse the dashboard: a row of metrics is no list, or has something else in it."
  }
  assert {
    condition     = alltrue([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : length(w.properties.metrics) == length(distinct([for row in w.properties.metrics : try(row[0].id, join(" ", slice(row, 0, 4)))]))])
    error_message = "Something is shown twice: CloudWatch refuses two expressions with one ID."
  }
  assert {
    condition     = toset(flatten([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for row in w.properties.metrics : try(regex("MetricName=\"([A-Za-z]+)\"", row[0].expression), "${row[3]} ${row[1]}")]])) == toset(concat(["SecondsToExpiry", "Commits", "Rejections", "Conflicts", "Refreshes", "Failures", "Lost", "Quarantined"], [for pair in setproduct(["publisher-publish", "publisher-refresh"], ["Invocations", "Errors", "Throttles"]) : join(" ", pair)]))
    error_message = "The dashboard shows something else."
  }
}

# Names are 255 characters at most.
run "a_long_name" {
  command = plan
  variables {
    name = "abcdefghijklmnopqrst"
    collections = merge(
      { for n in [200, 201, 223, 240, 249] : substr("example.com/${join("", [for _ in range(240) : "s"])}", 0, n) => {} },
      { "example.com/${join("", [for _ in range(236) : "s"])}x" = {} },
    )
  }
  assert {
    condition     = alltrue([for a in concat(values(aws_cloudwatch_metric_alarm.expiry), values(aws_cloudwatch_metric_alarm.collection)) : length(a.alarm_name) <= 255])
    error_message = "CloudWatch would refuse the name of an alarm."
  }
  assert {
    condition     = length(distinct([for a in concat(values(aws_cloudwatch_metric_alarm.expiry), values(aws_cloudwatch_metric_alarm.collection)) : a.alarm_name])) == 4 * 6
    error_message = "Alarms of two collections have one name."
  }
}

# Alarms look at as many runs, however long they are apart.
run "other_schedules" {
  command = plan
  variables {
    refresh_schedule = "rate(6 hours)"
    sweep_schedule   = "cron(0 3 * * ? *)"
  }
  assert {
    condition     = { for key, a in aws_cloudwatch_metric_alarm.function : key => a.period } == { "publish-errors" = 86400, "publish-throttles" = 86400, "refresh-errors" = 21600, "refresh-throttles" = 21600 }
    error_message = "Runs that fail are too far apart for the alarm of a function."
  }
  assert {
    condition     = alltrue([for a in values(aws_cloudwatch_metric_alarm.expiry) : [a.period, a.evaluation_periods] == [21600, 2]]) && alltrue([for a in values(aws_cloudwatch_metric_alarm.collection) : a.period == 21600])
    error_message = "Hours without a run are taken for missing ones, or runs that fail are too far apart."
  }
}

run "quick_schedules" {
  command = plan
  variables {
    refresh_schedule = "rate(1 minute)"
    sweep_schedule   = "rate(30 days)"
  }
  assert {
    condition     = { for key, a in aws_cloudwatch_metric_alarm.function : key => a.period } == { "publish-errors" = 86400, "publish-throttles" = 86400, "refresh-errors" = 900, "refresh-throttles" = 900 }
    error_message = "An alarm goes off for what a minute brings, or looks back further than CloudWatch does."
  }
  assert {
    condition     = alltrue([for a in values(aws_cloudwatch_metric_alarm.expiry) : [a.period, a.evaluation_periods] == [3600, 6]])
    error_message = "An alarm goes off for what a minute brings."
  }
}
