locals {
  # By collection, role and the name that the key has among those of its role.
  signing = merge(flatten([for c, roles in var.signing_keys : [for role, names in roles : {
    for key in names : "${c}:${role}:${key}" => { collection = c, role = role, key = key }
  }]])...)

  # The account decides who administers keys, by policies of IAM. Nobody uses them by such a policy, whatever it allows:
  # the functions do, each as little as it needs, and there are no grants.
  key_admin = {
    Sid       = "AccountAdministers"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action = [
      "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
      "kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Get*", "kms:List*", "kms:PutKeyPolicy",
      "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
      "kms:UpdateAlias", "kms:UpdateKeyDescription",
    ]
    Resource = ["*"]
  }
}

# The key under which the signer seals the online keys that it makes. Without it they are lost: hence the longest window,
# and hence it stays when signing_keys are chosen, which may be taken back.
resource "aws_kms_key" "seal" {
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
  name          = "alias/${var.name}-seal"
  target_key_id = aws_kms_key.seal.key_id
}

# Keys that never leave KMS, of one online role of a collection each.
resource "aws_kms_key" "signing" {
  for_each = local.signing

  description              = "${var.name}: ${each.value.role} of ${each.value.collection}, ${each.value.key}"
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
        Action    = ["kms:Sign"]
        Resource  = ["*"]
        Condition = { StringEquals = { "kms:SigningAlgorithm" = "ECDSA_SHA_256", "kms:MessageType" = "DIGEST" } }
      },
      {
        Sid       = "SignersTellThePublicKey"
        Effect    = "Allow"
        Principal = { AWS = [for f in ["publish", "refresh"] : aws_iam_role.signer[f].arn] }
        Action    = ["kms:GetPublicKey"]
        Resource  = ["*"]
      },
    ]
  })
}

resource "aws_kms_alias" "signing" {
  for_each = local.signing

  name          = "alias/${var.name}/${substr(sha256(each.value.collection), 0, 16)}/${each.value.role}/${each.value.key}" # a collection may be longer than an alias
  target_key_id = aws_kms_key.signing[each.key].key_id
}

locals {
  # A plan does not know the ARNs of keys to come, but how long they are.
  key_arn = "arn:${local.partition}:kms:${local.region}:${local.account}:key/00000000-0000-0000-0000-000000000000"
  key_arns = {
    expected = merge({ seal = local.key_arn }, { for k in keys(local.signing) : k => local.key_arn })
    made     = merge({ seal = aws_kms_key.seal.arn }, { for k in keys(local.signing) : k => aws_kms_key.signing[k].arn })
  }

  # As the functions read it from PUBLISHER_KEYS: of several keys of a role, new roots name the first.
  keys_environment = { for which, arns in local.key_arns : which => length(var.signing_keys) == 0 ? "sealed:kms:${arns.seal}" : format("awskms:%s", join(";", [
    for c, roles in var.signing_keys : join(",", flatten(["collection=${c}", [for role, names in roles : [for key in names : "${role}=${arns["${c}:${role}:${key}"]}"]]]))
  ])) }
}
