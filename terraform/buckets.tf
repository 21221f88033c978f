resource "aws_s3_bucket" "public" {
  bucket        = local.public_bucket
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket" "inbox" {
  bucket        = local.inbox_bucket
  force_destroy = var.force_destroy
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = local.inbox_bucket != local.public_bucket
      error_message = "The inbox needs a bucket of its own: what lies in the public one is served."
    }
  }
}

locals {
  buckets = { public = aws_s3_bucket.public.id, inbox = aws_s3_bucket.inbox.id }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = each.value
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = each.value
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = each.value
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = each.value
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# With a lock nobody without s3:BypassGovernanceRetention takes a version back, whatever else they may delete. It does not
# hinder publishing: timestamp.json is replaced all the same, for it is versions that are locked.
resource "aws_s3_bucket_object_lock_configuration" "public" {
  count = var.object_lock_days > 0 ? 1 : 0

  bucket = aws_s3_bucket.public.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.object_lock_days
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "public" {
  bucket = aws_s3_bucket.public.id

  rule {
    id     = "forget-what-was-replaced"
    status = "Enabled"
    filter {}
    expiration {
      expired_object_delete_marker = true
    }
    noncurrent_version_expiration {
      noncurrent_days = var.keep_versions_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

# Sealed keys lie in the inbox and never expire: rules are for what else there is, collection by collection, for a filter
# cannot begin with a wildcard.
resource "aws_s3_bucket_lifecycle_configuration" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  rule {
    id     = "forget-what-was-replaced"
    status = "Enabled"
    filter {}
    expiration {
      expired_object_delete_marker = true
    }
    noncurrent_version_expiration {
      noncurrent_days = var.keep_versions_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = toset(flatten([for c in keys(var.collections) : [for kind in ["parts", "receipts", "drafts"] : "${c}/${kind}/"]]))
    content {
      id     = "expire-${sha256(rule.value)}"
      status = "Enabled"
      filter {
        prefix = rule.value
      }
      expiration {
        days = var.mail_days
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  tls_only = { for kind, bucket in { public = local.public_bucket, inbox = local.inbox_bucket } : kind => {
    Sid       = "TLSOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = ["s3:*"]
    Resource  = ["arn:${local.partition}:s3:::${bucket}", "arn:${local.partition}:s3:::${bucket}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  } }

  # The distribution reads. It may list too, for S3 answers 404 for what is missing to those alone who may: clients end
  # their search for a newer root on 404, and fail on 403. What listing shows, cdn.tf keeps from viewers.
  served = {
    Sid       = "Serve"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = ["s3:GetObject", "s3:ListBucket"]
    Resource  = ["arn:${local.partition}:s3:::${local.public_bucket}", "arn:${local.partition}:s3:::${local.public_bucket}/*"]
    Condition = {
      StringEquals = { "aws:SourceAccount" = local.account }
      ArnEquals    = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn }
    }
  }

  # Whoever they are, and whatever their own policies allow: what is written once is not replaced, and timestamp.json by
  # those alone who name the version that they replace; so are the objects by which init and doctor find out whether that
  # is heeded. The parts of a multipart upload carry no condition, its completion does.
  replaced = [for name in ["timestamp.json", "probe-*"] : "arn:${local.partition}:s3:::${local.public_bucket}/*/metadata/${name}"]
  create_only = {
    Null = { "s3:if-none-match" = "true" }
    Bool = { "s3:ObjectCreationOperation" = "true" }
  }
  write_once = [
    {
      Sid         = "WriteOnce"
      Effect      = "Deny"
      Principal   = "*"
      Action      = ["s3:PutObject"]
      NotResource = local.replaced
      Condition   = local.create_only
    },
    # A star crosses slashes, so that what is replaced could be a target below targets/metadata/.
    {
      Sid       = "WriteTargetsOnce"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:PutObject"]
      Resource  = ["arn:${local.partition}:s3:::${local.public_bucket}/*/targets/*"]
      Condition = local.create_only
    },
    {
      Sid       = "ReplaceOnlyTheVersionSeen"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:PutObject"]
      Resource  = local.replaced
      Condition = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
    },
  ]
  keep_roots = {
    Sid       = "KeepRoots"
    Effect    = "Deny"
    Principal = "*"
    Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    Resource  = ["arn:${local.partition}:s3:::${local.public_bucket}/*/metadata/*.root.json"]
  }
}

resource "aws_s3_bucket_policy" "public" {
  bucket = aws_s3_bucket.public.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.tls_only.public, local.served], local.write_once,
      [for _ in range(var.protect_roots ? 1 : 0) : local.keep_roots],
    )
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_policy" "inbox" {
  bucket = aws_s3_bucket.inbox.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.tls_only.inbox]
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}
