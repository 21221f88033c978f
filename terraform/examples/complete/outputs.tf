output "url" {
  description = "Where pullers read."
  value       = module.publisher.url
}
