# What pullers reach. Mocked: nobody is asked, and nothing is made. What request.js does is tested by running it, in
# internal/edge.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip = "tests/files/empty.zip"
  create     = ["example.com/"]
}

run "cdn" {
  command = apply

  assert {
    condition = { for kind, p in aws_cloudfront_cache_policy.this : kind => [p.min_ttl, p.default_ttl, p.max_ttl] } == {
      immutable = [0, 31536000, 31536000]
      never     = [0, 0, 0]
    }
    error_message = "Cache times are wrong. What is never cached has three zeros; what S3 says not to cache is not cached anywhere."
  }
  assert {
    condition = { for kind, p in aws_cloudfront_cache_policy.this : kind => [for k in p.parameters_in_cache_key_and_forwarded_to_origin : [k.enable_accept_encoding_gzip, k.enable_accept_encoding_brotli]] } == {
      immutable = [[true, true]]
      never     = [[false, false]]
    }
    error_message = "What is cached is not compressed, or CloudFront refuses the policy of what is not."
  }
  assert {
    condition     = alltrue([for p in values(aws_cloudfront_cache_policy.this) : [for k in p.parameters_in_cache_key_and_forwarded_to_origin : [k.query_strings_config[0].query_string_behavior, k.headers_config[0].header_behavior, k.cookies_config[0].cookie_behavior]] == [["none", "none", "none"]]])
    error_message = "Query strings, headers or cookies are forwarded: anybody could ask past the cache."
  }

  # Two behaviours, which differ in what is cached alone.
  assert {
    condition     = [for b in aws_cloudfront_distribution.this.default_cache_behavior : [b.cache_policy_id, b.compress]] == [[aws_cloudfront_cache_policy.this["immutable"].id, true]]
    error_message = "What never changes is not cached, or not compressed."
  }
  assert {
    condition     = [for b in aws_cloudfront_distribution.this.ordered_cache_behavior : [b.path_pattern, b.cache_policy_id, b.compress]] == [["*/metadata/timestamp.json", aws_cloudfront_cache_policy.this["never"].id, false]]
    error_message = "timestamp.json is cached, or something else is not."
  }
  assert {
    condition     = alltrue([for b in concat(aws_cloudfront_distribution.this.default_cache_behavior, aws_cloudfront_distribution.this.ordered_cache_behavior) : b.viewer_protocol_policy == "https-only" && b.allowed_methods == toset(["GET", "HEAD", "OPTIONS"]) && b.cached_methods == toset(["GET", "HEAD"])])
    error_message = "Viewers are redirected, served without TLS, or may do more than read."
  }
  assert {
    condition     = alltrue([for b in concat(aws_cloudfront_distribution.this.default_cache_behavior, aws_cloudfront_distribution.this.ordered_cache_behavior) : b.response_headers_policy_id == aws_cloudfront_response_headers_policy.this.id])
    error_message = "Some answers lack the headers."
  }
  assert {
    condition     = alltrue([for b in concat(aws_cloudfront_distribution.this.default_cache_behavior, aws_cloudfront_distribution.this.ordered_cache_behavior) : [for f in b.function_association : [f.event_type, f.function_arn]] == [["viewer-request", aws_cloudfront_function.request.arn]]])
    error_message = "Some requests pass by request.js."
  }
  assert {
    condition     = aws_cloudfront_function.request.code == file("request.js") && aws_cloudfront_function.request.publish && aws_cloudfront_function.request.runtime == "cloudfront-js-2.0"
    error_message = "The function is not the one that is tested, or not live."
  }

  assert {
    condition     = toset([for e in aws_cloudfront_distribution.this.custom_error_response : e.error_code]) == toset([400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504])
    error_message = "CloudFront remembers some errors for ten seconds: the next root would stay missing, or a hiccup last."
  }
  assert {
    condition     = alltrue([for e in aws_cloudfront_distribution.this.custom_error_response : e.error_caching_min_ttl == 0 && coalesce(e.response_code, 0) == 0])
    error_message = "Errors are cached, or turned into something else."
  }

  assert {
    condition = [for c in aws_cloudfront_response_headers_policy.this.cors_config : [
      c.access_control_allow_credentials, c.origin_override, c.access_control_max_age_sec,
      sort(c.access_control_allow_origins[0].items), sort(c.access_control_allow_methods[0].items), sort(c.access_control_allow_headers[0].items), sort(c.access_control_expose_headers[0].items),
    ]] == [[false, true, 86400, tolist(["*"]), tolist(["GET", "HEAD"]), tolist(["*"]), tolist(["Content-Length", "Date", "ETag"])]]
    error_message = "Browsers of other origins may not read, or may do more."
  }
  assert {
    condition = [for h in aws_cloudfront_response_headers_policy.this.security_headers_config : [
      h.content_type_options[0].override, h.frame_options[0].frame_option, h.referrer_policy[0].referrer_policy, h.strict_transport_security[0].access_control_max_age_sec,
    ]] == [[true, "DENY", "no-referrer", 31536000]]
    error_message = "A header of security is missing."
  }

  assert {
    condition = [for o in aws_cloudfront_distribution.this.origin : [o.domain_name, o.origin_access_control_id, length(o.custom_origin_config), length(o.s3_origin_config)]] == [
      [aws_s3_bucket.public.bucket_regional_domain_name, aws_cloudfront_origin_access_control.public.id, 0, 0]
    ]
    error_message = "It serves something else than the public bucket."
  }
  assert {
    condition     = [aws_cloudfront_origin_access_control.public.origin_access_control_origin_type, aws_cloudfront_origin_access_control.public.signing_behavior, aws_cloudfront_origin_access_control.public.signing_protocol] == ["s3", "always", "sigv4"]
    error_message = "Requests to the bucket are not signed."
  }
}
