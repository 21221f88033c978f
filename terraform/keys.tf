locals {
  # With an alias that says what for.
  signing = { for pair in setproduct(var.signing_keys, ["snapshot", "timestamp"]) : "${pair[0]}:${pair[1]}" => { collection = pair[0], role = pair[1] } }
  sealed  = length(var.signing_keys) == 0

  # The account decides who administers keys, by policies of IAM; the functions use them, each as little as it needs.
  key_admin = {
    Sid       = "AccountAdministers"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action    = ["kms:*"]
    Resource  = ["*"]
  }
}

# The key under which the signer seals the online keys that it makes. Without it they are lost: hence the longest window.
resource "aws_kms_key" "seal" {
  count = local.sealed ? 1 : 0

  description             = "${var.name}: seals online keys"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.key_admin,
      {
        Sid       = "SignersOpenWhatIsSealedForACollection"
        Effect    = "Allow"
        Principal = { AWS = [for f in ["publish", "refresh"] : aws_iam_role.signer[f].arn] }
        Action    = ["kms:Decrypt"]
        Resource  = ["*"]
        Condition = { Null = { "kms:EncryptionContext:publisher:collection" = "false" } }
      },
      {
        Sid       = "PublisherSealsForACollection"
        Effect    = "Allow"
        Principal = { AWS = [aws_iam_role.signer["publish"].arn] }
        Action    = ["kms:GenerateDataKey"]
        Resource  = ["*"]
        Condition = { Null = { "kms:EncryptionContext:publisher:collection" = "false" } }
      },
    ]
  })
}

resource "aws_kms_alias" "seal" {
  count = local.sealed ? 1 : 0

  name          = "alias/${var.name}-seal"
  target_key_id = aws_kms_key.seal[0].key_id
}

# Keys that never leave KMS, one for each online role of a collection.
resource "aws_kms_key" "signing" {
  for_each = local.signing

  description              = "${var.name}: ${each.value.role} of ${each.value.collection}"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = 30
  tags                     = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.key_admin,
      {
        Sid       = "SignersSign"
        Effect    = "Allow"
        Principal = { AWS = [for f in ["publish", "refresh"] : aws_iam_role.signer[f].arn] }
        Action    = ["kms:GetPublicKey", "kms:Sign"]
        Resource  = ["*"]
        Condition = { StringEqualsIfExists = { "kms:SigningAlgorithm" = "ECDSA_SHA_256", "kms:MessageType" = "DIGEST" } }
      },
    ]
  })
}

resource "aws_kms_alias" "signing" {
  for_each = local.signing

  name          = "alias/${var.name}/${substr(sha256(each.value.collection), 0, 16)}/${each.value.role}" # a collection may be longer than an alias
  target_key_id = aws_kms_key.signing[each.key].key_id
}

locals {
  # As the functions read it from PUBLISHER_KEYS.
  keys = local.sealed ? "sealed:kms:${one(aws_kms_key.seal[*].arn)}" : join(";", [for c in sort(tolist(var.signing_keys)) : join(",", [
    "collection=${c}",
    "snapshot=${aws_kms_key.signing["${c}:snapshot"].arn}",
    "timestamp=${aws_kms_key.signing["${c}:timestamp"].arn}",
  ])])
  keys_environment = local.sealed ? local.keys : "awskms:${local.keys}"
}
