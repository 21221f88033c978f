resource "aws_cloudfront_origin_access_control" "public" {
  name                              = "${var.name}-public"
  description                       = "CloudFront reads the public bucket of ${var.name}"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# What a client asks for is either an object or not there. A path that ends with a slash would list the bucket, and a
# plus sign reach S3 as a space: Debian versions have them.
resource "aws_cloudfront_function" "request" {
  name    = "${var.name}-request"
  comment = "no listings, and plus signs as they are meant"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/request.js")
}

locals {
  # Seconds for which the two kinds of objects are kept at the edge. What S3 says in Cache-Control lies between.
  cached = {
    immutable = { min = 0, default = 31536000, max = 31536000 }
    never     = { min = 0, default = 0, max = 0 }
  }
}

resource "aws_cloudfront_cache_policy" "this" {
  for_each = local.cached

  name        = "${var.name}-${each.key}"
  min_ttl     = each.value.min
  default_ttl = each.value.default
  max_ttl     = each.value.max

  parameters_in_cache_key_and_forwarded_to_origin {
    # Compression is part of a key that is cached, and may not be of one that is not.
    enable_accept_encoding_brotli = each.value.max > 0
    enable_accept_encoding_gzip   = each.value.max > 0
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_response_headers_policy" "this" {
  name = var.name

  # Browsers read collections too. Nothing here is secret, and nothing is sent with credentials.
  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 86400
    origin_override                  = true
    access_control_allow_headers {
      items = ["*"]
    }
    access_control_allow_methods {
      items = ["GET", "HEAD"]
    }
    access_control_allow_origins {
      items = ["*"]
    }
    access_control_expose_headers {
      items = ["ETag", "Date", "Content-Length"]
    }
  }

  security_headers_config {
    content_type_options {
      override = true
    }
    frame_options {
      frame_option = "DENY"
      override     = true
    }
    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }
}

locals {
  # Not one of these may be remembered: the next root is missing until it is there, and clients ask for it each time.
  errors = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
}

resource "aws_cloudfront_distribution" "this" {
  comment         = "${var.name}: signed updates"
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = var.price_class
  aliases         = var.domains
  web_acl_id      = var.web_acl_arn
  tags            = var.tags

  origin {
    origin_id                = "public"
    domain_name              = aws_s3_bucket.public.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.public.id
  }

  default_cache_behavior {
    target_origin_id           = "public"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "https-only" # TUF clients do not follow redirects
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.this["immutable"].id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.request.arn
    }
  }

  ordered_cache_behavior {
    path_pattern               = "*/metadata/timestamp.json"
    target_origin_id           = "public"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "https-only"
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.this["never"].id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.request.arn
    }
  }

  dynamic "custom_error_response" {
    for_each = toset(local.errors)
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  dynamic "logging_config" {
    for_each = var.access_log_bucket[*]
    content {
      bucket = logging_config.value
      prefix = "${var.name}/"
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.certificate_arn == null
    acm_certificate_arn            = var.certificate_arn
    ssl_support_method             = var.certificate_arn == null ? null : "sni-only"
    minimum_protocol_version       = var.certificate_arn == null ? "TLSv1" : "TLSv1.2_2021"
  }
}
