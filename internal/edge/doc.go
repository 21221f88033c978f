// Package edge has no code of its own: it tests what the Terraform module runs
// at the edge of CloudFront, by running it, and the script that checks the
// module.
package edge
