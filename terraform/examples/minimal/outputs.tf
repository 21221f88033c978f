output "init" {
  description = "The command that makes a collection."
  value       = "publisher init example.com/scripts --store '${module.publisher.store}' --inbox '${module.publisher.inbox}' --online '${module.publisher.online}'"
}

output "url" {
  description = "Where pullers read."
  value       = module.publisher.url
}
