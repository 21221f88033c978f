# Who may do what with the two buckets. There is nothing to create here: the documents are values, so that they can be
# read, tested and loaded into any server that speaks IAM's language.

locals {
  public = "arn:${var.partition}:s3:::${var.public_bucket}"
  inbox  = "arn:${var.partition}:s3:::${var.inbox_bucket}"

  # Names of submissions and drafts have 26 characters. A longer name, as below submissions/quarantine/, does not match.
  ulid = join("", [for _ in range(26) : "?"])

  # To S3 a missing object is missing for those who may list the bucket, and forbidden for all others. A condition on the
  # prefix would take that away again: a request for an object has none.
  list = {
    Sid      = "TellMissingFromForbidden"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = [local.public, local.inbox]
  }

  # Whoever may create an object may not replace it. The parts of a multipart upload carry no condition, its completion
  # does.
  create_only = {
    Null = { "s3:if-none-match" = "true" }
    Bool = { "s3:ObjectCreationOperation" = "true" }
  }

  # timestamp.json is created once, and then replaced by those alone who name the version that they replace.
  swap_only = {
    Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" }
  }

  slots     = "${local.public}/*/metadata/*.*.json"
  timestamp = "${local.public}/*/metadata/timestamp.json"

  # What a publisher leaves in the inbox for the signer, and for co-signers.
  left = { for name in keys(var.collections) : name => [
    "${local.inbox}/${name}/parts/*",
    "${local.inbox}/${name}/submissions/${local.ulid}.json",
    "${local.inbox}/${name}/drafts/*",
  ] }

  # What publishers may create in the public bucket: any target; delegates only those below their prefixes.
  writers = merge(
    { for name in keys(var.collections) : name => { collection = name, targets = ["${local.public}/${name}/targets/*"] } },
    merge([for name, c in var.collections : { for delegate, prefixes in c.delegates : "${name}:${delegate}" => {
      collection = name, targets = [for p in prefixes : "${local.public}/${name}/targets/${p}*"]
    } }]...),
  )

  invoke = var.signer_function_arn == null ? [] : [{
    Sid      = "AskTheSigner"
    Effect   = "Allow"
    Action   = ["lambda:InvokeFunction"]
    Resource = [var.signer_function_arn]
  }]

  writer_statements = { for writer, w in local.writers : writer => concat(
    [
      local.list,
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = concat(["${local.public}/${w.collection}/*"], local.left[w.collection], [
          "${local.inbox}/${w.collection}/submissions/quarantine/${local.ulid}.json",
          "${local.inbox}/${w.collection}/receipts/*",
        ])
      },
      {
        Sid      = "Create"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = concat(w.targets, local.left[w.collection])
      },
      {
        Sid      = "UploadInParts"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = w.targets
      },
    ],
    [for _ in range(var.conditional ? 1 : 0) : {
      Sid       = "ReplaceNothing"
      Effect    = "Deny"
      Action    = ["s3:PutObject"]
      Resource  = concat(w.targets, local.left[w.collection])
      Condition = local.create_only
    }],
    local.invoke,
  ) }

  # The signer's own notes: which collections there are, how far a run has come. No collection begins with an underscore.
  notes = "${local.inbox}/_signer/*"

  # To IAM a star crosses slashes: the names of slots could lie below targets/metadata/, too.
  no_targets = { Sid = "NoTargets", Effect = "Deny", Action = ["s3:PutObject"], Resource = ["${local.public}/*/targets/*"] }

  # What both functions of the signer do. Neither deletes anything in the public bucket.
  refreshed = [
    local.timestamp,
    "${local.public}/*/metadata/*.snapshot.json",
  ]
  answered = [
    local.slots,
    "${local.inbox}/*/receipts/*",
    "${local.inbox}/*/keys/*",
    "${local.inbox}/*/submissions/quarantine/${local.ulid}.json",
  ]

  signer_statements = {
    publish = concat(
      [
        local.list,
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.public}/*", "${local.inbox}/*"] },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"], Resource = concat([local.timestamp, local.notes], local.answered) },
        { Sid = "ClearAnswered", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = ["${local.inbox}/*/submissions/${local.ulid}.json", local.notes] },
        local.no_targets,
      ],
      [for _ in range(var.conditional ? 1 : 0) : { Sid = "ReplaceNothing", Effect = "Deny", Action = ["s3:PutObject"], Resource = local.answered, Condition = local.create_only }],
      [for _ in range(var.conditional ? 1 : 0) : { Sid = "ReplaceOnlyTheVersionSeen", Effect = "Deny", Action = ["s3:PutObject"], Resource = [local.timestamp, local.notes], Condition = local.swap_only }],
    )
    refresh = concat(
      [
        local.list,
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.public}/*/metadata/*", "${local.inbox}/*/keys/*", local.notes] },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"], Resource = concat(local.refreshed, [local.notes]) },
        local.no_targets,
      ],
      [for _ in range(var.conditional ? 1 : 0) : { Sid = "ReplaceNothing", Effect = "Deny", Action = ["s3:PutObject"], Resource = [local.refreshed[1]], Condition = local.create_only }],
      [for _ in range(var.conditional ? 1 : 0) : { Sid = "ReplaceOnlyTheVersionSeen", Effect = "Deny", Action = ["s3:PutObject"], Resource = [local.timestamp, local.notes], Condition = local.swap_only }],
    )
  }

  # Garbage collection removes slots and targets that nothing reaches. Roots and timestamp.json are beyond it, whatever
  # it believes. It marks what it is about to remove, and has the signer sign a new timestamp.
  garbage_mark = "${local.public}/*/metadata/garbage.json"
  gc_statements = concat([
    local.list,
    { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.public}/*", "${local.inbox}/*/submissions/*", "${local.inbox}/*/parts/*", "${local.inbox}/*/receipts/*", "${local.inbox}/*/drafts/*"] },
    { Sid = "RemoveGarbage", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = [local.slots, local.garbage_mark, "${local.public}/*/metadata/probe-*", "${local.public}/*/targets/*"] },
    { Sid = "Mark", Effect = "Allow", Action = ["s3:PutObject"], Resource = [local.garbage_mark] },
    { Sid = "RemoveOldMail", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = ["${local.inbox}/*/parts/*", "${local.inbox}/*/receipts/*", "${local.inbox}/*/drafts/*"] },
    { Sid = "KeepRoots", Effect = "Deny", Action = ["s3:DeleteObject"], Resource = ["${local.public}/*/metadata/*.root.json", local.timestamp] },
    ],
    [for _ in range(var.conditional ? 1 : 0) : { Sid = "ReplaceNothing", Effect = "Deny", Action = ["s3:PutObject"], Resource = [local.garbage_mark], Condition = local.create_only }],
    local.invoke,
  )
}
