# The rules that come with tflint; those of providers are downloaded, and know AWS's values: see CONTRIBUTING.md.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
