output "url" {
  description = "Where pullers read: metadata of a collection is at URL/COLLECTION/metadata."
  value       = "https://${length(var.domains) > 0 ? var.domains[0] : aws_cloudfront_distribution.this.domain_name}"
}

output "store" {
  description = "What `publisher init` takes as --store."
  value       = "s3://${aws_s3_bucket.public.id}?region=${local.region}"
}

output "inbox" {
  description = "What `publisher init` takes as --inbox."
  value       = "s3://${aws_s3_bucket.inbox.id}?region=${local.region}"
}

output "online" {
  description = "What `publisher init` takes as --online."
  value       = "lambda:${local.function_names["publish"]}?region=${local.region}"
}

output "publisher_policies" {
  description = "Policy documents (JSON) of publishers, by collection: attach one to whoever publishes it."
  value       = module.policies.publishers
}

output "delegate_policies" {
  description = "Policy documents (JSON) of delegates, by collection and by the delegate's name."
  value       = module.policies.delegates
}

output "gc_policy" {
  description = "Policy document (JSON) of whoever runs `publisher gc`."
  value       = module.policies.gc
}

output "distribution_id" {
  description = "ID of the distribution of CloudFront."
  value       = aws_cloudfront_distribution.this.id
}

output "function_arns" {
  description = "ARNs of the functions: publish and refresh."
  value       = { for f in keys(local.functions) : f => aws_lambda_function.signer[f].arn }
}

output "dead_letter_queues" {
  description = "URLs of the queues of events that a function failed on for good."
  value       = { for f in keys(local.functions) : f => aws_sqs_queue.dead[f].url }
}
