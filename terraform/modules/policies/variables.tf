variable "public_bucket" {
  description = "Name of the bucket that the CDN serves."
  type        = string
  nullable    = false
}

variable "inbox_bucket" {
  description = "Name of the private bucket where submissions are left, and sealed keys lie."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "Partition of the ARNs: aws, aws-cn, aws-us-gov."
  type        = string
  default     = "aws"
  nullable    = false
}

variable "collections" {
  description = "Collections to make policies for, by name, each with the path prefixes below its targets that each of its delegates may create."
  type = map(object({
    delegates = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for name in keys(var.collections) :
      length(name) <= 255 && can(regex("^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$", name)) &&
      length(setintersection(split("/", name), ["metadata", "targets", "parts", "submissions", "receipts", "keys", "drafts"])) == 0
    ])
    error_message = "A collection is lower-case segments [a-z0-9][a-z0-9._-]* joined by slashes, at most 255 characters, none of them a word of the layout (metadata, targets, parts, submissions, receipts, keys, drafts)."
  }

  validation {
    condition = alltrue(flatten([for c in values(var.collections) : [for prefixes in values(c.delegates) : [
      length(prefixes) > 0, [for p in prefixes : can(regex("^[^*?$/][^*?$]*/$", p)) && can(regex("^[ -~\\x{A0}-\\x{FF}]+$", p))]
    ]]]))
    error_message = "Each delegate needs path prefixes such as \"releases/\": ending with a slash, not starting with one, without * and ? and $, which mean something else to IAM, and of the characters that its policies may have, which end with U+00FF."
  }
}

variable "conditional" {
  description = "Whether to demand If-None-Match and If-Match of writers. Only Amazon S3 knows these condition keys; other servers refuse or ignore them."
  type        = bool
  default     = true
  nullable    = false
}

variable "signer_function_arn" {
  description = "ARN of the function that publishes, which publishers and delegates may then invoke; null for none."
  type        = string
  default     = null
}
