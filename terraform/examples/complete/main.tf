# Everything that can be chosen: a domain, a lock on what is published, keys that never leave KMS, a delegate with one
# folder, and people who are told.

provider "aws" {
  region = "eu-central-1"
}

# Without encryption at rest: CloudWatch may not use alias/aws/sns, and its messages would be dropped. Alarms tell no
# secrets; for a key of your own, let cloudwatch.amazonaws.com have kms:Decrypt and kms:GenerateDataKey*.
resource "aws_sns_topic" "alarms" {
  name = "updates-alarms"
}

module "publisher" {
  source = "../.."

  name       = "updates"
  signer_zip = "${path.module}/../../../dist/lambda-arm64.zip"
  create     = ["example.com/"]
  collections = {
    "example.com/scripts" = { delegates = { ci = ["releases/"] } }
  }
  signing_keys = { "example.com/scripts" = {} }

  domains         = ["updates.example.com"]
  certificate_arn = var.certificate_arn

  object_lock_days    = 30
  publish_concurrency = 10
  refresh_concurrency = 2
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = { service = "updates" }
}

resource "aws_iam_policy" "publisher" {
  name   = "updates-publisher"
  policy = module.publisher.publisher_policies["example.com/scripts"]
}

resource "aws_iam_policy" "ci" {
  name   = "updates-ci"
  policy = module.publisher.delegate_policies["example.com/scripts"]["ci"]
}
