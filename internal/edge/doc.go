// Package edge has no code of its own: it tests what the Terraform module runs
// at the edge of CloudFront, by running it, the script that checks the module,
// and that its tests make nothing.
package edge
