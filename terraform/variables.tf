locals {
  # Names of collections, and the words of the layout that none of their segments may be.
  collection = "^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"
  layout     = ["metadata", "targets", "parts", "submissions", "receipts", "keys", "drafts"]
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "publisher"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.name)) && !startswith(var.name, "aws")
    error_message = "The name is 1 to 20 lower-case letters, digits and dashes, begins with a letter, and not with aws."
  }
}

variable "public_bucket" {
  description = "Name of the bucket that the CDN serves; null for one made of name, account and region."
  type        = string
  default     = null
}

variable "inbox_bucket" {
  description = "Name of the private bucket; null for one made of name, account and region."
  type        = string
  default     = null
}

variable "signer_zip" {
  description = "Path of the signer's zip, as `make lambda` builds it."
  type        = string
  nullable    = false
}

variable "signer_architecture" {
  description = "Processor that the zip is for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.signer_architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "create" {
  description = "What the names of new collections may begin with, such as \"example.com/\"."
  type        = list(string)
  nullable    = false

  validation {
    condition = length(var.create) > 0 && alltrue([for p in var.create :
      length(p) <= 255 && can(regex(local.collection, trimsuffix(p, "/"))) && length(setintersection(split("/", p), local.layout)) == 0
    ])
    error_message = "Name at least one beginning of collection names: segments [a-z0-9][a-z0-9._-]* joined by slashes, with or without one at the end, none of them a word of the layout (${join(", ", local.layout)})."
  }
}

variable "genesis" {
  description = "SHA-256 of the first root of collections that may begin with no other, by collection."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for sum in values(var.genesis) : can(regex("^[0-9a-f]{64}$", sum))])
    error_message = "A SHA-256 has 64 lower-case hexadecimal digits."
  }

  validation {
    condition = alltrue([for name in keys(var.genesis) :
      length(name) <= 255 && can(regex(local.collection, name)) && length(setintersection(split("/", name), local.layout)) == 0
    ])
    error_message = "A collection is segments [a-z0-9][a-z0-9._-]* joined by slashes, none of them a word of the layout (${join(", ", local.layout)})."
  }
}

variable "collections" {
  description = "Collections that are to have policies for their publishers and delegates, alarms and lifecycle rules, by name; each with the path prefixes below its targets that each delegate may create. Others work too."
  type = map(object({
    delegates = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.collections) <= 300
    error_message = "A bucket has 1,000 lifecycle rules at most, and each collection needs three: name those of up to 300 collections. Others work too; publisher gc removes what is old in their inboxes."
  }
}

variable "signing_keys" {
  description = "Collections whose snapshot and timestamp keys are P-256 keys of KMS, instead of sealed ones; each with the names of the keys of both roles, [\"1\"] unless others are given. New roots name the first; the others are those that roots have named before. All collections are then of this kind: sealed keys are not used until signing_keys is empty again. What is taken from here is destroyed, after 30 days."
  type = map(object({
    snapshot  = optional(list(string), ["1"])
    timestamp = optional(list(string), ["1"])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.signing_keys), keys(var.collections))) == 0
    error_message = "Each of signing_keys must be one of collections."
  }

  validation {
    condition = alltrue(flatten([for roles in values(var.signing_keys) : [for names in values(roles) : [
      length(names) > 0, length(distinct(names)) == length(names), [for key in names : can(regex("^[a-z0-9][a-z0-9-]{0,19}$", key))],
    ]]]))
    error_message = "Each role needs a key, and names of keys are 1 to 20 lower-case letters, digits and dashes, none of them twice."
  }
}

variable "object_lock_days" {
  description = "Days for which Object Lock (governance mode) keeps each version in the public bucket from being deleted; 0 for no Object Lock. It can be chosen at any time, for what is written from then on; a bucket that had it once keeps Object Lock, but locks nothing more when this is 0."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.object_lock_days >= 0 && floor(var.object_lock_days) == var.object_lock_days
    error_message = "Give a whole number of days."
  }
}

variable "protect_roots" {
  description = "Whether the bucket refuses to delete roots, to everybody. `publisher delete --remote` needs this off."
  type        = bool
  default     = true
  nullable    = false
}

variable "keep_versions_days" {
  description = "Days for which versions of objects that were replaced or deleted are kept, in both buckets: longer than a timestamp lives, so that yesterday can be brought back."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.keep_versions_days >= 15
    error_message = "Keep versions for 15 days at least: a timestamp lives for 14 unless init was told otherwise."
  }
}

variable "mail_days" {
  description = "Days after which parts, receipts and drafts of the collections named are deleted from the inbox."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.mail_days >= 7
    error_message = "Keep parts and receipts for 7 days at least: a submission may wait that long."
  }
}

variable "refresh_schedule" {
  description = "How often the signer looks for what is due: an expression of EventBridge Scheduler. Alarms are made for rates; whatever else it is, they take it to be daily."
  type        = string
  default     = "rate(1 hour)"
  nullable    = false
}

variable "sweep_schedule" {
  description = "How often the inbox is swept for submissions whose event was lost."
  type        = string
  default     = "rate(15 minutes)"
  nullable    = false
}

variable "publish_concurrency" {
  description = "Reserved concurrency of the function that publishes; -1 reserves none."
  type        = number
  default     = -1
  nullable    = false

  validation {
    condition     = var.publish_concurrency == -1 || var.publish_concurrency >= 1 && floor(var.publish_concurrency) == var.publish_concurrency
    error_message = "Give a whole number, 1 or more, or -1: with 0 the function would never run."
  }
}

variable "refresh_concurrency" {
  description = "Reserved concurrency of the function that refreshes; -1 reserves none."
  type        = number
  default     = -1
  nullable    = false

  validation {
    condition     = var.refresh_concurrency == -1 || var.refresh_concurrency >= 1 && floor(var.refresh_concurrency) == var.refresh_concurrency
    error_message = "Give a whole number, 1 or more, or -1: with 0 the function would never run."
  }
}

variable "publish_memory" {
  description = "Memory of the function that publishes, in MiB. A submission of 32 MiB takes several times that."
  type        = number
  default     = 1024
  nullable    = false
}

variable "refresh_memory" {
  description = "Memory of the function that refreshes, in MiB."
  type        = number
  default     = 256
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 90
  nullable    = false
}

variable "domains" {
  description = "Domain names of the distribution, covered by certificate_arn. Without any it has a name of CloudFront."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.domains) == 0 || var.certificate_arn != null
    error_message = "Domains need a certificate_arn (of ACM, in us-east-1)."
  }
}

variable "certificate_arn" {
  description = "ARN of a certificate of ACM in us-east-1 for the domains."
  type        = string
  default     = null
}

variable "price_class" {
  description = "Where CloudFront serves from."
  type        = string
  default     = "PriceClass_100"
  nullable    = false
}

variable "web_acl_arn" {
  description = "ARN of a web ACL of WAF for the distribution; null for none."
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "Domain name of a bucket for CloudFront's access logs, such as logs.s3.amazonaws.com; null for none."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "ARNs that are told when an alarm changes, such as a topic of SNS."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "expiry_alarm_seconds" {
  description = "Seconds before a timestamp expires at which the alarm of its collection goes off: less than half a timestamp's life, and more than people need to react."
  type        = number
  default     = 345600
  nullable    = false
}

variable "measure_all" {
  description = "Whether CloudWatch has metrics of all collections, not of those named in collections alone: it costs by the metric, so that a thousand collections are 300 USD a month."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = var.measure_all || length(var.collections) > 0
    error_message = "Name at least one of collections that is measured: without any, nothing tells that the schedule has stopped."
  }
}

variable "force_destroy" {
  description = "Whether terraform destroy may delete buckets that are not empty. For trying things out only."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
