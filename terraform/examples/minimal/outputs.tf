output "init" {
  description = "The command that makes a collection."
  value       = "publisher init example.com/scripts --store '${module.publisher.store}' --inbox '${module.publisher.inbox}' --online '${module.publisher.online}'"
}

output "store" {
  description = "What --store of that command takes."
  value       = module.publisher.store
}

output "inbox" {
  description = "What --inbox of that command takes."
  value       = module.publisher.inbox
}

output "online" {
  description = "What --online of that command takes."
  value       = module.publisher.online
}

output "url" {
  description = "Where pullers read."
  value       = module.publisher.url
}
