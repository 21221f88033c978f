locals {
  # Apart from each other: collections and delegates may be called gc, signer and refresh.
  documents = { for kind, statements in { writers = local.writer_statements, signer = local.signer_statements, gc = { gc = local.gc_statements } } :
    kind => { for who, s in statements : who => jsonencode({ Version = "2012-10-17", Statement = s }) }
  }

  # A managed policy of IAM has this many characters at most.
  longest  = 6144
  too_long = join(", ", [for who, d in local.documents.writers : who if length(d) > local.longest])
}

output "publishers" {
  description = "Policy documents of publishers, by collection."
  value       = { for name in keys(var.collections) : name => local.documents.writers[name] }

  precondition {
    condition     = local.too_long == ""
    error_message = "A policy of IAM has ${local.longest} characters at most, and these would have more: ${local.too_long}. Give the delegates fewer prefixes, or make several of one; give collections and buckets shorter names."
  }
}

output "delegates" {
  description = "Policy documents of delegates, by collection and then by the delegate's name."
  value = { for name, c in var.collections : name => {
    for delegate in keys(c.delegates) : delegate => local.documents.writers["${name}:${delegate}"]
  } }
}

output "signer" {
  description = "Policy documents of the signer's functions: publish and refresh."
  value       = local.documents.signer
}

output "gc" {
  description = "Policy document of whoever collects garbage."
  value       = local.documents.gc.gc
}
