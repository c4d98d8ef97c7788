package main

import (
	"fmt"
	"slices"

	"policy/contract"
)

var cloudFrom = wholeNumber{
	name:    "cloud-from",
	summary: "Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
	least:   1, most: 1_000_000, initial: 200,
}

// router is the routing hook: which model answers. What Configure prepares is there in every call.
type router struct {
	cloudFrom uint32
}

func (*router) Describe() contract.Manifest {
	// To look at texts: ReadsNewest (the user's newest message) or ReadsConversation.
	reads := contract.Reads{Prompt: contract.ReadsNothing}
	return manifest("Short prompts stay local, long ones go to the cloud.", reads, cloudFrom.entry())
}

func (r *router) Configure() (err error) {
	r.cloudFrom, err = cloudFrom.read()
	return err
}

func (r *router) Route(request *contract.Request, candidates []contract.Candidate) (contract.Verdict, error) {
	preferred, tier := contract.Local, contract.Low
	if request.PromptTokens >= r.cloudFrom {
		preferred, tier = contract.Cloud, contract.High
	}
	return contract.Decision{
		Ranking: rank(candidates, preferred),
		Tier:    &tier,
		Reason:  fmt.Sprintf("%d tokens: %v models first", request.PromptTokens, preferred),
	}, nil
}

// rank returns the candidates by index, best first: those that answer before those that do not, and among them those of
// the preferred location before the others.
func rank(candidates []contract.Candidate, preferred contract.Location) []uint32 {
	var groups [4][]uint32
	for i, candidate := range candidates {
		group := 0
		if candidate.Location != preferred {
			group = 1
		}
		if candidate.Health == contract.Down || candidate.Breaker == contract.Open {
			group += 2
		}
		groups[group] = append(groups[group], uint32(i))
	}
	return slices.Concat(groups[:]...)
}
