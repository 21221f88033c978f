variable "certificate_arn" {
  description = "ARN of the certificate for updates.example.com, of ACM in us-east-1."
  type        = string
}
