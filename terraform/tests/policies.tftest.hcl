# What each document allows, and what it does not. The very documents are loaded into real servers by the tests in Go.

run "policies" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket       = "pub"
    inbox_bucket        = "inb"
    signer_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:publisher-publish"
    collections = {
      "example.com/scripts" = { delegates = { ci = ["releases/"] } }
      "example.com/other"   = {}
    }
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : s.Action if s.Effect == "Allow"])) == toset(["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "lambda:InvokeFunction"])
    error_message = "A publisher may do something else, or less."
  }
  assert {
    condition     = !strcontains(output.publishers["example.com/scripts"], "Delete")
    error_message = "A publisher may delete."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : [for r in s.Resource : !strcontains(r, "/metadata/")] if contains(s.Action, "s3:PutObject")]))
    error_message = "A publisher may write metadata."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : [for r in s.Resource : startswith(r, "arn:aws:s3:::pub/example.com/scripts/targets/") || startswith(r, "arn:aws:s3:::inb/example.com/scripts/")] if contains(s.Action, "s3:PutObject") && s.Effect == "Allow"]))
    error_message = "A publisher may write outside of their collection."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : [for r in s.Resource : !strcontains(r, "/keys/") && !strcontains(r, "_signer")] if s.Effect == "Allow"]))
    error_message = "A publisher may touch sealed keys, or the signer's notes."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : [for r in s.Resource : !strcontains(r, "/receipts/") && !strcontains(r, "quarantine")] if contains(s.Action, "s3:PutObject")]))
    error_message = "A publisher may write receipts."
  }
  assert {
    condition     = length([for s in jsondecode(output.publishers["example.com/scripts"]).Statement : s if s.Effect == "Deny" && try(s.Condition.Null["s3:if-none-match"], "") == "true"]) == 1
    error_message = "A publisher may replace what they created."
  }
  assert {
    condition     = [for s in jsondecode(output.publishers["example.com/scripts"]).Statement : s.Resource if contains(s.Action, "lambda:InvokeFunction")] == [["arn:aws:lambda:us-east-1:123456789012:function:publisher-publish"]]
    error_message = "A publisher may invoke another function than the one that publishes."
  }
  assert {
    condition     = !strcontains(output.publishers["example.com/other"], "example.com/scripts")
    error_message = "Policies of collections overlap."
  }
  assert {
    condition     = [for s in jsondecode(output.delegates["example.com/scripts"]["ci"]).Statement : [for r in s.Resource : r if startswith(r, "arn:aws:s3:::pub/")] if s.Sid == "Create"] == [["arn:aws:s3:::pub/example.com/scripts/targets/releases/*"]]
    error_message = "A delegate may create targets outside of their prefix."
  }
  assert {
    condition     = length(output.delegates["example.com/other"]) == 0
    error_message = "A collection has a delegate that nobody named."
  }
  assert {
    condition     = !strcontains(output.delegates["example.com/scripts"]["ci"], "Delete")
    error_message = "A delegate may delete."
  }

  assert {
    condition = jsondecode(output.signer["publish"]).Statement == [
      { Sid = "TellMissingFromForbidden", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::pub", "arn:aws:s3:::inb"] },
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::pub/*", "arn:aws:s3:::inb/*"] },
      {
        Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"]
        Resource = [
          "arn:aws:s3:::pub/*/metadata/timestamp.json", "arn:aws:s3:::inb/_signer/*", "arn:aws:s3:::pub/*/metadata/*.*.json",
          "arn:aws:s3:::inb/*/receipts/*", "arn:aws:s3:::inb/*/keys/*", "arn:aws:s3:::inb/*/submissions/quarantine/??????????????????????????.json",
        ]
      },
      {
        Sid      = "ClearAnswered", Effect = "Allow", Action = ["s3:DeleteObject"]
        Resource = ["arn:aws:s3:::inb/*/submissions/??????????????????????????.json", "arn:aws:s3:::inb/_signer/*"]
      },
      { Sid = "NoTargets", Effect = "Deny", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::pub/*/targets/*"] },
      {
        Sid = "ReplaceNothing", Effect = "Deny", Action = ["s3:PutObject"]
        Resource = [
          "arn:aws:s3:::pub/*/metadata/*.*.json",
          "arn:aws:s3:::inb/*/receipts/*", "arn:aws:s3:::inb/*/keys/*", "arn:aws:s3:::inb/*/submissions/quarantine/??????????????????????????.json",
        ]
        Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
      },
      {
        Sid       = "ReplaceOnlyTheVersionSeen", Effect = "Deny", Action = ["s3:PutObject"]
        Resource  = ["arn:aws:s3:::pub/*/metadata/timestamp.json", "arn:aws:s3:::inb/_signer/*"]
        Condition = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
      },
    ]
    error_message = "The publishing function may do something else, such as to write targets below targets/metadata/, or less."
  }
  assert {
    condition = jsondecode(output.signer["refresh"]).Statement == [
      { Sid = "TellMissingFromForbidden", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::pub", "arn:aws:s3:::inb"] },
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::pub/*/metadata/*", "arn:aws:s3:::inb/*/keys/*", "arn:aws:s3:::inb/_signer/*"] },
      {
        Sid      = "Write", Effect = "Allow", Action = ["s3:PutObject"]
        Resource = ["arn:aws:s3:::pub/*/metadata/timestamp.json", "arn:aws:s3:::pub/*/metadata/*.snapshot.json", "arn:aws:s3:::inb/_signer/*"]
      },
      { Sid = "NoTargets", Effect = "Deny", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::pub/*/targets/*"] },
      {
        Sid       = "ReplaceNothing", Effect = "Deny", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::pub/*/metadata/*.snapshot.json"]
        Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
      },
      {
        Sid       = "ReplaceOnlyTheVersionSeen", Effect = "Deny", Action = ["s3:PutObject"]
        Resource  = ["arn:aws:s3:::pub/*/metadata/timestamp.json", "arn:aws:s3:::inb/_signer/*"]
        Condition = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
      },
    ]
    error_message = "The refreshing function may do something else, such as to write targets below targets/metadata/, or less."
  }
  assert {
    condition     = [for s in jsondecode(output.gc).Statement : s.Resource if contains(s.Action, "s3:PutObject") && s.Effect == "Allow"] == [["arn:aws:s3:::pub/*/metadata/garbage.json"]]
    error_message = "Garbage collection may write more than its mark."
  }
  assert {
    condition     = [for s in jsondecode(output.gc).Statement : s.Resource if s.Sid == "KeepRoots"] == [["arn:aws:s3:::pub/*/metadata/*.root.json", "arn:aws:s3:::pub/*/metadata/timestamp.json"]]
    error_message = "Garbage collection may delete roots or timestamps."
  }
  assert {
    condition     = contains(flatten([for s in jsondecode(output.gc).Statement : s.Resource if s.Sid == "RemoveGarbage"]), "arn:aws:s3:::pub/*/metadata/probe-*")
    error_message = "Garbage collection may not remove what a probe of the store has left."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.gc).Statement : [for r in s.Resource : !strcontains(r, "/keys/") && !strcontains(r, "/submissions/")] if contains(s.Action, "s3:DeleteObject")]))
    error_message = "Garbage collection may delete sealed keys or submissions."
  }
}

# Whatever somebody may write they may write with a condition only.
run "conditions" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = ["releases/"] } } }
  }
  assert {
    condition = alltrue([for document in concat(values(output.publishers), values(output.delegates["example.com/scripts"]), values(output.signer), [output.gc]) :
      toset(flatten([for s in jsondecode(document).Statement : s.Resource if contains(s.Action, "s3:PutObject") && s.Effect == "Allow"])) ==
      toset(flatten([for s in jsondecode(document).Statement : s.Resource if contains(s.Action, "s3:PutObject") && can(s.Condition)]))
    ])
    error_message = "Something may be written over without a word about what is there."
  }
}

run "servers_that_know_no_conditions" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    conditional   = false
    collections   = { "example.com/scripts" = {} }
  }
  assert {
    condition     = !strcontains(output.publishers["example.com/scripts"], "Condition") && !strcontains(output.signer["publish"], "Condition")
    error_message = "There are conditions all the same."
  }
  assert {
    condition     = !strcontains(output.publishers["example.com/scripts"], "lambda:")
    error_message = "It speaks of a function, and there is none."
  }
}

run "names_that_reach_into_other_collections" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/metadata" = {} }
  }
  expect_failures = [var.collections]
}

run "delegates_with_wildcards" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = ["*"] } } }
  }
  expect_failures = [var.collections]
}

run "delegates_with_variables" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = ["$${aws:username}/"] } } }
  }
  expect_failures = [var.collections]
}

run "delegates_with_letters_that_no_policy_has" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = ["выпуски/"] } } }
  }
  expect_failures = [var.collections]
}

run "delegates_with_other_letters" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = ["größe ~1 \"é\"/"] } } }
  }
  assert {
    condition     = contains(flatten([for s in jsondecode(output.delegates["example.com/scripts"]["ci"]).Statement : s.Resource]), "arn:aws:s3:::pub/example.com/scripts/targets/größe ~1 \"é\"/*")
    error_message = "The prefix has become another one."
  }
}

run "delegates_with_too_much" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    collections   = { "example.com/scripts" = { delegates = { ci = [for i in range(40) : "releases-${i}/"] } } }
  }
  expect_failures = [output.publishers]
}

# Collections and delegates may have the names that we have for others.
run "names_of_ours" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    conditional   = false
    collections = {
      gc     = {}
      signer = { delegates = { publish = ["a/"], refresh = ["b/"] } }
    }
  }
  assert {
    condition     = [for s in jsondecode(output.publishers["gc"]).Statement : s.Resource if s.Sid == "Create"] == [["arn:aws:s3:::pub/gc/targets/*", "arn:aws:s3:::inb/gc/parts/*", "arn:aws:s3:::inb/gc/submissions/??????????????????????????.json", "arn:aws:s3:::inb/gc/drafts/*"]]
    error_message = "The publisher of the collection gc gets somebody else's policy."
  }
  assert {
    condition     = [for delegate in ["publish", "refresh"] : [for s in jsondecode(output.delegates["signer"][delegate]).Statement : s.Resource[0] if s.Sid == "Create"]] == [["arn:aws:s3:::pub/signer/targets/a/*"], ["arn:aws:s3:::pub/signer/targets/b/*"]]
    error_message = "A delegate of the collection signer gets the signer's policy."
  }
  assert {
    condition     = length([for s in jsondecode(output.gc).Statement : s if s.Sid == "KeepRoots"]) == 1 && [for f in ["publish", "refresh"] : length([for s in jsondecode(output.signer[f]).Statement : s if s.Sid == "NoTargets"])] == [1, 1]
    error_message = "The collector of garbage, or the signer, gets a publisher's policy."
  }
}

# Self-hosters and deployments without CloudFront use the documents alone, wherever they are.
run "another_partition" {
  command = plan
  module {
    source = "./modules/policies"
  }
  variables {
    public_bucket = "pub"
    inbox_bucket  = "inb"
    partition     = "aws-us-gov"
    collections   = { "example.com/scripts" = { delegates = { ci = ["releases/"] } } }
  }
  assert {
    condition = alltrue([for document in concat(values(output.publishers), values(output.delegates["example.com/scripts"]), values(output.signer), [output.gc]) :
      strcontains(document, "arn:aws-us-gov:") && !strcontains(document, "arn:aws:")
    ])
    error_message = "A policy speaks of another partition."
  }
}
