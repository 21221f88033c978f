# What cannot be is refused in the plan; each run has several variables with a value that is wrong. Mocked: nobody is
# asked.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  signer_zip  = "tests/files/empty.zip"
  create      = ["example.com/"]
  collections = { "example.com/scripts" = {} }
}

run "none" {
  command = plan
  variables {
    create              = []
    collections         = {}
    measure_all         = false
    genesis             = { "example.com/scripts" = "abc" }
    domains             = ["updates.example.com"]
    publish_concurrency = 0
    refresh_concurrency = 0
  }
  expect_failures = [var.create, var.measure_all, var.genesis, var.domains, var.publish_concurrency, var.refresh_concurrency]
}

run "empty_segments_and_unknown_names" {
  command = plan
  variables {
    create              = ["example.com//x"]
    genesis             = { "example.com/Scripts" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    signing_keys        = { "example.com/elsewhere" = {} }
    publish_concurrency = 1.5
    refresh_concurrency = -2
  }
  expect_failures = [var.create, var.genesis, var.signing_keys, var.publish_concurrency, var.refresh_concurrency]
}

run "words_of_the_layout_and_no_keys" {
  command = plan
  variables {
    create       = ["example.com/targets/"]
    genesis      = { "example.com/keys" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    signing_keys = { "example.com/scripts" = { timestamp = [] } }
  }
  expect_failures = [var.create, var.genesis, var.signing_keys]
}

run "two_slashes_and_one_key_twice" {
  command = plan
  variables {
    create       = ["example.com//"]
    signing_keys = { "example.com/scripts" = { timestamp = ["1", "1"] } }
  }
  expect_failures = [var.create, var.signing_keys]
}

run "names_that_are_too_long" {
  command = plan
  variables {
    create       = [join("", [for _ in range(256) : "x"])]
    genesis      = { (join("", [for _ in range(256) : "x"])) = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    signing_keys = { "example.com/scripts" = { timestamp = ["1/2"] } }
  }
  expect_failures = [var.create, var.genesis, var.signing_keys]
}
