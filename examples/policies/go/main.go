// Package main is a policy with both hooks.
package main

import "policy/contract"

func init() {
	contract.ExportRouting(&router{})
	contract.ExportCost(&estimator{})
}

// Go wants a main function. Nobody calls it: the gateway calls the hooks.
func main() {}
