# The keys of KMS: who may use them for what, and how one follows another. Mocked: nobody is asked, and nothing is made.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_kms_key.seal
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/seal" }
}

override_resource {
  target = aws_kms_key.signing["example.com/scripts:snapshot:1"]
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/snapshot-1" }
}

override_resource {
  target = aws_kms_key.signing["example.com/scripts:snapshot:2"]
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/snapshot-2" }
}

override_resource {
  target = aws_kms_key.signing["example.com/scripts:timestamp:1"]
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/timestamp-1" }
}

override_resource {
  target = aws_kms_key.signing["example.com/other:snapshot:1"]
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/other-snapshot" }
}

override_resource {
  target = aws_kms_key.signing["example.com/other:timestamp:1"]
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/other-timestamp" }
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = {}, "example.com/other" = {} }
}

run "sealed" {
  command = apply

  assert {
    condition = jsondecode(aws_kms_key.seal.policy).Statement == [
      {
        Sid       = "AccountAdministers"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::123456789012:root" }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
          "kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Get*", "kms:List*", "kms:PutKeyPolicy",
          "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
          "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
        Resource = ["*"]
      },
      {
        Sid       = "SignersOpenWhatIsSealedForACollection"
        Effect    = "Allow"
        Principal = { AWS = [aws_iam_role.signer["publish"].arn, aws_iam_role.signer["refresh"].arn] }
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
    error_message = "Others than the functions may open sealed keys or make them, or the functions without a collection in the context."
  }
  assert {
    condition     = aws_kms_key.seal.enable_key_rotation && aws_kms_key.seal.deletion_window_in_days == 30
    error_message = "The key that seals is not kept well."
  }
  assert {
    condition     = aws_kms_alias.seal.target_key_id == aws_kms_key.seal.key_id
    error_message = "The alias is of another key."
  }
  assert {
    condition     = length(aws_kms_key.signing) == 0
    error_message = "There are signing keys that nobody asked for."
  }
  assert {
    condition     = [for f in ["publish", "refresh"] : aws_lambda_function.signer[f].environment[0].variables["PUBLISHER_KEYS"]] == ["sealed:kms:arn:aws:kms:us-east-1:123456789012:key/seal", "sealed:kms:arn:aws:kms:us-east-1:123456789012:key/seal"]
    error_message = "The functions do not know the key that seals."
  }
}

run "in_kms" {
  command = apply
  variables {
    signing_keys = { "example.com/scripts" = {}, "example.com/other" = {} }
  }
  assert {
    condition     = aws_kms_key.seal.arn == "arn:aws:kms:us-east-1:123456789012:key/seal" && aws_kms_alias.seal.name == "alias/publisher-seal"
    error_message = "The key that seals all keys that there were is gone."
  }
  assert {
    condition     = keys(aws_kms_key.signing) == ["example.com/other:snapshot:1", "example.com/other:timestamp:1", "example.com/scripts:snapshot:1", "example.com/scripts:timestamp:1"]
    error_message = "The keys are others."
  }
  assert {
    condition     = alltrue([for k in values(aws_kms_key.signing) : [k.customer_master_key_spec, k.key_usage, k.deletion_window_in_days] == ["ECC_NIST_P256", "SIGN_VERIFY", 30]])
    error_message = "Clients could not verify what these keys sign, or they are gone too soon."
  }
  assert {
    condition = alltrue([for k in values(aws_kms_key.signing) : jsondecode(k.policy).Statement == [
      jsondecode(aws_kms_key.seal.policy).Statement[0],
      {
        Sid       = "SignersSign"
        Effect    = "Allow"
        Principal = { AWS = [aws_iam_role.signer["publish"].arn, aws_iam_role.signer["refresh"].arn] }
        Action    = ["kms:Sign"]
        Resource  = ["*"]
        Condition = { StringEquals = { "kms:SigningAlgorithm" = "ECDSA_SHA_256", "kms:MessageType" = "DIGEST" } }
      },
      {
        Sid       = "SignersTellThePublicKey"
        Effect    = "Allow"
        Principal = { AWS = [aws_iam_role.signer["publish"].arn, aws_iam_role.signer["refresh"].arn] }
        Action    = ["kms:GetPublicKey"]
        Resource  = ["*"]
      },
    ]])
    error_message = "Others than the functions may sign, or the functions something else than SHA-256, or not at all."
  }
  assert {
    condition = aws_lambda_function.signer["publish"].environment[0].variables["PUBLISHER_KEYS"] == join("", [
      "awskms:collection=example.com/other,snapshot=arn:aws:kms:us-east-1:123456789012:key/other-snapshot,timestamp=arn:aws:kms:us-east-1:123456789012:key/other-timestamp",
      ";collection=example.com/scripts,snapshot=arn:aws:kms:us-east-1:123456789012:key/snapshot-1,timestamp=arn:aws:kms:us-east-1:123456789012:key/timestamp-1",
    ])
    error_message = "The functions do not know the keys."
  }
}

# A second snapshot key is there, and the first one still, for what was signed with it.
run "rotated" {
  command = apply
  variables {
    signing_keys = { "example.com/scripts" = { snapshot = ["2", "1"] }, "example.com/other" = {} }
  }
  assert {
    condition     = toset(keys(aws_kms_key.signing)) == toset(["example.com/other:snapshot:1", "example.com/other:timestamp:1", "example.com/scripts:snapshot:1", "example.com/scripts:snapshot:2", "example.com/scripts:timestamp:1"])
    error_message = "A key that roots name is gone."
  }
  assert {
    condition     = alltrue([for f in values(aws_lambda_function.signer) : strcontains(f.environment[0].variables["PUBLISHER_KEYS"], ";collection=example.com/scripts,snapshot=arn:aws:kms:us-east-1:123456789012:key/snapshot-2,snapshot=arn:aws:kms:us-east-1:123456789012:key/snapshot-1,timestamp=arn:aws:kms:us-east-1:123456789012:key/timestamp-1")])
    error_message = "The functions do not know both keys, the new one first."
  }
  assert {
    condition     = length(distinct(values(aws_kms_alias.signing)[*].name)) == 5 && alltrue([for k, a in aws_kms_alias.signing : a.target_key_id == aws_kms_key.signing[k].key_id])
    error_message = "A key has no alias, or that of another."
  }
}
