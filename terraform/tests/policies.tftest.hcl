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
    condition     = toset(flatten([for s in jsondecode(output.signer["publish"]).Statement : s.Action if s.Effect == "Allow"])) == toset(["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
    error_message = "The publishing function may do something else, or less."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.signer["publish"]).Statement : [for r in s.Resource : startswith(r, "arn:aws:s3:::inb/")] if contains(s.Action, "s3:DeleteObject")]))
    error_message = "The publishing function may delete in the public bucket."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.signer["publish"]).Statement : [for r in s.Resource : !strcontains(r, "/targets/")] if contains(s.Action, "s3:PutObject")]))
    error_message = "The publishing function may write targets."
  }
  assert {
    condition     = [for s in jsondecode(output.signer["publish"]).Statement : s.Condition.Null if s.Sid == "ReplaceOnlyTheVersionSeen"] == [{ "s3:if-none-match" = "true", "s3:if-match" = "true" }]
    error_message = "The publishing function may replace a timestamp that it has not seen."
  }
  assert {
    condition     = contains(flatten([for s in jsondecode(output.signer["publish"]).Statement : s.Resource if s.Sid == "ReplaceNothing"]), "arn:aws:s3:::pub/*/metadata/*.*.json")
    error_message = "The publishing function may replace slots."
  }
  assert {
    condition     = !strcontains(output.signer["refresh"], "DeleteObject")
    error_message = "The refreshing function may delete."
  }
  assert {
    condition     = toset(flatten([for s in jsondecode(output.signer["refresh"]).Statement : s.Resource if contains(s.Action, "s3:PutObject") && s.Effect == "Allow"])) == toset(["arn:aws:s3:::pub/*/metadata/timestamp.json", "arn:aws:s3:::pub/*/metadata/*.snapshot.json", "arn:aws:s3:::inb/_signer/*"])
    error_message = "The refreshing function may write more than snapshot, timestamp and notes."
  }
  assert {
    condition     = alltrue(flatten([for s in jsondecode(output.signer["refresh"]).Statement : [for r in s.Resource : !strcontains(r, "submissions")]]))
    error_message = "The refreshing function reads submissions."
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
      toset(flatten([for s in jsondecode(document).Statement : s.Resource if contains(s.Action, "s3:PutObject") && s.Effect == "Deny"]))
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
