// Package main is a policy of Wasmgate: {{hooks}}.
package main

import "policy/contract"

func init() {
%routing 	contract.ExportRouting(&router{})
%cost 	contract.ExportCost(&estimator{})
}

// Go wants a main function. Nobody calls it: the gateway calls the hooks.
func main() {}
