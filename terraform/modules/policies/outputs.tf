locals {
  documents = { for who, statements in merge(
    { for writer, s in local.writer_statements : writer => s },
    { "signer:publish" = local.signer_statements.publish, "signer:refresh" = local.signer_statements.refresh, "gc" = local.gc_statements },
  ) : who => jsonencode({ Version = "2012-10-17", Statement = statements }) }
}

output "publishers" {
  description = "Policy documents of publishers, by collection."
  value       = { for name in keys(var.collections) : name => local.documents[name] }
}

output "delegates" {
  description = "Policy documents of delegates, by collection and then by the delegate's name."
  value = { for name, c in var.collections : name => {
    for delegate in keys(c.delegates) : delegate => local.documents["${name}:${delegate}"]
  } }
}

output "signer" {
  description = "Policy documents of the signer's functions: publish and refresh."
  value       = { for function in keys(local.signer_statements) : function => local.documents["signer:${function}"] }
}

output "gc" {
  description = "Policy document of whoever collects garbage."
  value       = local.documents["gc"]
}
