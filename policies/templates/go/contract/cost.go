package contract

import "unsafe"

// Cost is the cost hook: what a request costs on each candidate.
type Cost interface {
	// Describe says what the policy is.
	Describe() Manifest
	// Configure prepares the instance. An error, in a sentence, refuses the settings.
	Configure() error
	// Estimate returns an estimate for each candidate, in their order. An error counts as a failure of the policy.
	Estimate(request *Request, candidates []Candidate) ([]CostEstimate, error)
}

var cost Cost

// ExportCost makes it the component's cost hook.
func ExportCost(hook Cost) { cost = hook }

//go:wasmexport wasmgate:policy/cost@2.0.0#describe
func describeCost() unsafe.Pointer {
	defer logPanic()
	release()
	return described(cost.Describe())
}

//go:wasmexport wasmgate:policy/cost@2.0.0#configure
func configureCost() unsafe.Pointer {
	defer logPanic()
	release()
	return configured(cost.Configure())
}

//go:wasmexport wasmgate:policy/cost@2.0.0#set-models
func setModelsCost(base unsafe.Pointer, count uint32) {
	defer logPanic()
	setModels(base, count)
}

//go:wasmexport wasmgate:policy/cost@2.0.0#estimate
func estimate(base unsafe.Pointer) unsafe.Pointer {
	defer logPanic()
	request, candidates := arguments(base)
	release()
	estimates, err := cost.Estimate(request, candidates)
	return result(4+textSize, 4, err, func(c *cursor) { putList(c, estimateSize, estimates, (*cursor).putEstimate) })
}
