# Buckets, functions and keys as they would be applied. Mocked: nobody is asked, and nothing is made.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = { delegates = { ci = ["releases/"] } } }
}

run "defaults" {
  command = apply

  # Buckets.
  assert {
    condition     = aws_s3_bucket.public.bucket == "publisher-public-123456789012-us-east-1" && aws_s3_bucket.inbox.bucket == "publisher-inbox-123456789012-us-east-1"
    error_message = "The buckets have other names."
  }
  assert {
    condition     = length(aws_s3_bucket_public_access_block.this) == 2 && alltrue([for b in values(aws_s3_bucket_public_access_block.this) : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "Public access is not blocked."
  }
  assert {
    condition     = alltrue([for b in values(aws_s3_bucket_versioning.this) : b.versioning_configuration[0].status == "Enabled"])
    error_message = "A bucket has no versions."
  }
  assert {
    condition     = alltrue([for b in values(aws_s3_bucket_ownership_controls.this) : b.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "Ownership is not enforced."
  }
  assert {
    condition     = alltrue([for p in [aws_s3_bucket_policy.public.policy, aws_s3_bucket_policy.inbox.policy] : length([for s in jsondecode(p).Statement : s if s.Sid == "TLSOnly" && s.Effect == "Deny" && s.Principal == "*"]) == 1])
    error_message = "A bucket takes requests without TLS."
  }
  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s.Principal if s.Effect == "Allow"] == [{ Service = "cloudfront.amazonaws.com" }]
    error_message = "Somebody else than CloudFront may read the public bucket by its policy."
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s.Condition.ArnEquals["aws:SourceArn"] == aws_cloudfront_distribution.this.arn && s.Condition.StringEquals["aws:SourceAccount"] == "123456789012" if s.Effect == "Allow"])
    error_message = "Any distribution may read the public bucket."
  }
  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s.NotResource if s.Sid == "WriteOnce"] == [["arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/timestamp.json"]]
    error_message = "Something else than timestamp.json may be replaced."
  }
  assert {
    condition     = length([for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s if s.Sid == "KeepRoots" && contains(s.Action, "s3:DeleteObjectVersion")]) == 1
    error_message = "Roots may be deleted."
  }
  assert {
    condition     = length(jsondecode(aws_s3_bucket_policy.inbox.policy).Statement) == 1
    error_message = "The inbox's policy allows something."
  }
  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.public) == 0 && aws_s3_bucket.public.object_lock_enabled == false
    error_message = "There is a lock that nobody asked for."
  }
  assert {
    condition     = toset([for r in aws_s3_bucket_lifecycle_configuration.inbox.rule : r.filter[0].prefix if startswith(r.id, "expire-")]) == toset(["example.com/scripts/parts/", "example.com/scripts/receipts/", "example.com/scripts/drafts/"])
    error_message = "Something else expires than parts, receipts and drafts: keys must not."
  }

  # The signer.
  assert {
    condition     = toset(keys(aws_lambda_function.signer)) == toset(["publish", "refresh"]) && alltrue([for f in values(aws_lambda_function.signer) : f.runtime == "provided.al2023" && f.architectures == tolist(["arm64"])])
    error_message = "The functions are others."
  }
  assert {
    condition     = aws_lambda_function.signer["publish"].source_code_hash == aws_lambda_function.signer["refresh"].source_code_hash && aws_lambda_function.signer["publish"].environment[0].variables["PUBLISHER_FUNCTION"] == "publish" && aws_lambda_function.signer["refresh"].environment[0].variables["PUBLISHER_FUNCTION"] == "refresh"
    error_message = "The functions are not one program that does two things."
  }
  assert {
    condition     = aws_lambda_function.signer["publish"].environment[0].variables["PUBLISHER_KEYS"] == "sealed:kms:${aws_kms_key.seal[0].arn}" && aws_lambda_function.signer["publish"].environment[0].variables["PUBLISHER_CREATE"] == "example.com/"
    error_message = "The functions are configured wrongly."
  }
  assert {
    condition     = alltrue([for f in values(aws_lambda_function.signer) : length(f.dead_letter_config) == 1]) && alltrue([for g in values(aws_cloudwatch_log_group.signer) : g.retention_in_days == 90])
    error_message = "A function has no queue for what it failed on, or logs for ever."
  }
  assert {
    condition     = alltrue([for r in values(aws_iam_role.signer) : [for s in jsondecode(r.assume_role_policy).Statement : s.Principal] == [{ Service = "lambda.amazonaws.com" }]])
    error_message = "Somebody else than Lambda may take a signer's role."
  }
  assert {
    condition     = alltrue([for f, p in aws_iam_role_policy.stores : p.policy == module.policies.signer[f]])
    error_message = "A function has the other one's policy."
  }
  assert {
    condition     = aws_lambda_permission.inbox.source_account == "123456789012" && aws_lambda_permission.inbox.source_arn == aws_s3_bucket.inbox.arn
    error_message = "Another bucket may wake the signer."
  }
  assert {
    condition     = aws_s3_bucket_notification.inbox.lambda_function[0].filter_suffix == ".json"
    error_message = "Every part wakes the signer."
  }

  # KMS.
  assert {
    condition     = [for s in jsondecode(aws_kms_key.seal[0].policy).Statement : s.Principal.AWS if contains(s.Action, "kms:GenerateDataKey")] == [[aws_iam_role.signer["publish"].arn]]
    error_message = "Somebody else than the publishing function may make sealed keys."
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_kms_key.seal[0].policy).Statement : s.Condition.Null["kms:EncryptionContext:publisher:collection"] == "false" if s.Sid != "AccountAdministers"])
    error_message = "Keys may be opened without a collection in the context."
  }
  assert {
    condition     = aws_kms_key.seal[0].enable_key_rotation && aws_kms_key.seal[0].deletion_window_in_days == 30
    error_message = "The key that seals is not kept well."
  }
  assert {
    condition     = length(aws_kms_key.signing) == 0
    error_message = "There are signing keys that nobody asked for."
  }

  # What to type.
  assert {
    condition     = output.store == "s3://${aws_s3_bucket.public.id}?region=us-east-1" && output.online == "lambda:publisher-publish?region=us-east-1"
    error_message = "What to type is wrong."
  }
}

run "keys_in_kms" {
  command = apply
  variables {
    signing_keys = ["example.com/scripts"]
  }
  assert {
    condition     = length(aws_kms_key.seal) == 0 && toset(keys(aws_kms_key.signing)) == toset(["example.com/scripts:snapshot", "example.com/scripts:timestamp"])
    error_message = "The keys are others."
  }
  assert {
    condition     = alltrue([for k in values(aws_kms_key.signing) : k.customer_master_key_spec == "ECC_NIST_P256" && k.key_usage == "SIGN_VERIFY"])
    error_message = "Clients could not verify what these keys sign."
  }
  assert {
    condition     = alltrue([for k in values(aws_kms_key.signing) : [for s in jsondecode(k.policy).Statement : s.Action if s.Sid != "AccountAdministers"] == [["kms:GetPublicKey", "kms:Sign"]]])
    error_message = "The functions may do more than sign."
  }
  assert {
    condition     = startswith(aws_lambda_function.signer["refresh"].environment[0].variables["PUBLISHER_KEYS"], "awskms:collection=example.com/scripts,snapshot=arn:")
    error_message = "The functions do not know the keys."
  }
}

run "lock" {
  command = apply
  variables {
    object_lock_days = 30
    protect_roots    = false
    genesis          = { "example.com/scripts" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    domains          = ["updates.example.com"]
    certificate_arn  = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    measure_all      = false
  }
  assert {
    condition     = alltrue([for f in values(aws_lambda_function.signer) : f.environment[0].variables["PUBLISHER_METRICS"] == "example.com/scripts"])
    error_message = "Others than the collections that are named are measured."
  }
  assert {
    condition     = aws_s3_bucket.public.object_lock_enabled && aws_s3_bucket_object_lock_configuration.public[0].rule[0].default_retention[0].days == 30
    error_message = "There is no lock."
  }
  assert {
    condition     = length([for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s if s.Sid == "KeepRoots"]) == 0
    error_message = "Roots are protected all the same."
  }
  assert {
    condition     = aws_lambda_function.signer["publish"].environment[0].variables["PUBLISHER_GENESIS"] == "example.com/scripts=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    error_message = "The first root is not pinned."
  }
  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021" && output.url == "https://updates.example.com"
    error_message = "The domain is not served as it should be."
  }
}

run "nothing_measured" {
  command = plan
  variables {
    measure_all = false
    collections = {}
  }
  expect_failures = [var.measure_all]
}

run "domain_without_certificate" {
  command = plan
  variables {
    domains = ["updates.example.com"]
  }
  expect_failures = [var.domains]
}

run "signing_keys_of_unknown_collections" {
  command = plan
  variables {
    signing_keys = ["example.com/elsewhere"]
  }
  expect_failures = [var.signing_keys]
}

run "nothing_may_be_created" {
  command = plan
  variables {
    create = []
  }
  expect_failures = [var.create]
}

run "no_hash" {
  command = plan
  variables {
    genesis = { "example.com/scripts" = "abc" }
  }
  expect_failures = [var.genesis]
}
