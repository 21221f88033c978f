# The buckets: who may do what with them, whatever their own policies allow, and what is forgotten when. Mocked: nobody is
# asked, and nothing is made.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = {} }
}

run "buckets" {
  command = apply

  assert {
    condition     = [aws_s3_bucket.public.bucket, aws_s3_bucket.inbox.bucket] == ["publisher-public-123456789012-us-east-1", "publisher-inbox-123456789012-us-east-1"]
    error_message = "The buckets have other names."
  }
  assert {
    condition     = { for k, b in aws_s3_bucket_public_access_block.this : k => [b.bucket, b.block_public_acls, b.block_public_policy, b.ignore_public_acls, b.restrict_public_buckets] } == { public = [aws_s3_bucket.public.id, true, true, true, true], inbox = [aws_s3_bucket.inbox.id, true, true, true, true] }
    error_message = "Public access is not blocked."
  }
  assert {
    condition     = { for k, b in aws_s3_bucket_versioning.this : k => [b.bucket, b.versioning_configuration[0].status] } == { public = [aws_s3_bucket.public.id, "Enabled"], inbox = [aws_s3_bucket.inbox.id, "Enabled"] }
    error_message = "A bucket has no versions."
  }
  assert {
    condition     = { for k, b in aws_s3_bucket_ownership_controls.this : k => [b.bucket, b.rule[0].object_ownership] } == { public = [aws_s3_bucket.public.id, "BucketOwnerEnforced"], inbox = [aws_s3_bucket.inbox.id, "BucketOwnerEnforced"] }
    error_message = "Ownership is not enforced."
  }

  assert {
    condition = [aws_s3_bucket_policy.public.bucket, jsondecode(aws_s3_bucket_policy.public.policy).Statement] == [aws_s3_bucket.public.id, [
      {
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:aws:s3:::publisher-public-123456789012-us-east-1", "arn:aws:s3:::publisher-public-123456789012-us-east-1/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Serve"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = ["s3:GetObject", "s3:ListBucket"]
        Resource  = ["arn:aws:s3:::publisher-public-123456789012-us-east-1", "arn:aws:s3:::publisher-public-123456789012-us-east-1/*"]
        Condition = {
          StringEquals = { "aws:SourceAccount" = "123456789012" }
          ArnEquals    = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn }
        }
      },
      {
        Sid       = "WriteOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject"]
        NotResource = [
          "arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/timestamp.json",
          "arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/probe-*",
        ]
        Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
      },
      {
        Sid       = "WriteTargetsOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject"]
        Resource  = ["arn:aws:s3:::publisher-public-123456789012-us-east-1/*/targets/*"]
        Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
      },
      {
        Sid       = "ReplaceOnlyTheVersionSeen"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject"]
        Resource = [
          "arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/timestamp.json",
          "arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/probe-*",
        ]
        Condition = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
      },
      {
        Sid       = "KeepRoots"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = ["arn:aws:s3:::publisher-public-123456789012-us-east-1/*/metadata/*.root.json"]
      },
    ]]
    error_message = "The public bucket's policy is another one: clients may see 403, what is published may be replaced or deleted, or init and doctor cannot probe the store."
  }
  assert {
    condition = [aws_s3_bucket_policy.inbox.bucket, jsondecode(aws_s3_bucket_policy.inbox.policy).Statement] == [aws_s3_bucket.inbox.id, [
      {
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:aws:s3:::publisher-inbox-123456789012-us-east-1", "arn:aws:s3:::publisher-inbox-123456789012-us-east-1/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]]
    error_message = "The inbox's policy is another one."
  }

  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.public) == 0
    error_message = "There is a lock that nobody asked for."
  }
  assert {
    condition = alltrue([for lifecycle in [aws_s3_bucket_lifecycle_configuration.public, aws_s3_bucket_lifecycle_configuration.inbox] :
      jsonencode([for r in lifecycle.rule : [
        r.id, r.status, r.expiration[0].expired_object_delete_marker, r.noncurrent_version_expiration[0].noncurrent_days, r.abort_incomplete_multipart_upload[0].days_after_initiation
      ] if !startswith(r.id, "expire-")]) == jsonencode([["forget-what-was-replaced", "Enabled", true, 90, 7]])
    ])
    error_message = "Of what was replaced or deleted something stays for ever, if only the mark that it is deleted."
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.public.rule) == 1
    error_message = "Something that is published expires."
  }
  assert {
    condition     = { for r in aws_s3_bucket_lifecycle_configuration.inbox.rule : r.filter[0].prefix => [r.status, r.expiration[0].days] if startswith(r.id, "expire-") } == { for kind in ["parts", "receipts", "drafts"] : "example.com/scripts/${kind}/" => ["Enabled", 30] }
    error_message = "Something else expires than parts, receipts and drafts: keys must not."
  }
}

run "lock" {
  command = apply
  variables {
    object_lock_days = 30
    protect_roots    = false
  }
  assert {
    condition     = [for l in aws_s3_bucket_object_lock_configuration.public : [l.bucket, l.rule[0].default_retention[0].mode, l.rule[0].default_retention[0].days]] == [[aws_s3_bucket.public.id, "GOVERNANCE", 30]]
    error_message = "There is no lock."
  }
  # Said of the bucket it would have Terraform replace one that is there.
  assert {
    condition     = !aws_s3_bucket.public.object_lock_enabled
    error_message = "The bucket is replaced to have a lock."
  }
  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.public.policy).Statement : s.Sid] == ["TLSOnly", "Serve", "WriteOnce", "WriteTargetsOnce", "ReplaceOnlyTheVersionSeen"]
    error_message = "Roots are protected all the same, or something else is not."
  }
}

run "one_bucket_for_both" {
  command = plan
  variables {
    public_bucket = "updates"
    inbox_bucket  = "updates"
  }
  expect_failures = [aws_s3_bucket.inbox]
}

# Neither GovCloud nor China has all of CloudFront.
run "another_partition" {
  command = plan
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }
  expect_failures = [data.aws_partition.this]
}
