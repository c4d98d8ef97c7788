package main

import (
	"math"
	"math/bits"

	"policy/contract"
)

var expectedOutputTokens = wholeNumber{
	name:    "expected-output-tokens",
	summary: "Output tokens to expect of a request, 0 to 10,000,000; fewer where the client's limit is lower.",
	least:   0, most: 10_000_000, initial: 500,
}

// pricedTokens is the number of tokens that prices are for.
const pricedTokens = 1_000_000

// estimator is the cost hook: what a request costs on each candidate.
type estimator struct {
	output uint32
}

func (*estimator) Describe() contract.Manifest {
%both 	summary := "Short prompts stay local, long ones go to the cloud."
%one 	summary := "Prompt tokens at the input price and the expected answer at the output price."
	return manifest(summary, contract.Reads{Prompt: contract.ReadsNothing}, expectedOutputTokens.entry())
}

func (e *estimator) Configure() (err error) {
	e.output, err = expectedOutputTokens.read()
	return err
}

func (e *estimator) Estimate(request *contract.Request, candidates []contract.Candidate) ([]contract.CostEstimate, error) {
	input, output := request.PromptTokens, e.output
	if request.MaxTokens != nil {
		output = min(output, *request.MaxTokens)
	}
	estimates := make([]contract.CostEstimate, len(candidates))
	for i, candidate := range candidates {
		estimates[i] = contract.CostEstimate{InputTokens: input, OutputTokens: output}
		if price := candidate.Price; price != nil {
			estimates[i].Cost = new(costOf(price, input, output))
		}
	}
	return estimates, nil
}

// costOf is in nano-dollars, halves rounded up; what 64 bits cannot hold is not known either. Products of tokens and prices have up to 96 bits.
func costOf(price *contract.Price, input, output uint32) uint64 {
	high, low := bits.Mul64(uint64(input), price.Input)
	outputHigh, outputLow := bits.Mul64(uint64(output), price.Output)
	low, carry := bits.Add64(low, outputLow, 0)
	high += outputHigh + carry
	low, carry = bits.Add64(low, pricedTokens/2, 0)
	high += carry
	if high >= pricedTokens {
		return math.MaxUint64
	}
	quotient, _ := bits.Div64(high, low, pricedTokens)
	return quotient
}
