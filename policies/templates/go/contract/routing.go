package contract

import "unsafe"

// Routing is the routing hook: which model answers.
type Routing interface {
	// Describe says what the policy is.
	Describe() Manifest
	// Configure prepares the instance. An error, in a sentence, refuses the settings.
	Configure() error
	// Route decides a request. An error counts as a failure of the policy.
	Route(request *Request, candidates []Candidate) (Verdict, error)
}

var routing Routing

// ExportRouting makes it the component's routing hook.
func ExportRouting(hook Routing) { routing = hook }

// Verdict is a Decision, a Denial or Pass.
type Verdict interface {
	put(*cursor)
}

// Decision sends the request to candidates, by index, best first.
type Decision struct {
	Ranking    []uint32
	Complexity *float64
	Tier       *Tier
	Reason     string
	// Coded is in place of Reason, if it is there.
	Coded *Coded
}

// Coded is a reason by its number among the manifest's, with the numbers in it. The gateway writes the sentence.
type Coded struct {
	Number uint32
	Values []float64
}

// Denial refuses the request.
type Denial struct {
	Code, Reason string
}

// Pass is no opinion: the gateway's own default decides.
type Pass struct{}

// The size of a verdict by the canonical ABI.
const verdictSize = 56

func (d Decision) put(c *cursor) {
	c.putCase(0)
	putList(c, 4, d.Ranking, (*cursor).putU32)
	putOption(c, 8, 8, d.Complexity, (*cursor).putF64)
	putOption(c, 1, 1, d.Tier, func(c *cursor, tier Tier) { c.putU8(uint8(tier)) })
	c.align(4)
	if d.Coded == nil {
		c.putU8(0)
		c.putText(d.Reason)
		return
	}
	c.putU8(1)
	c.putU32(d.Coded.Number)
	putList(c, 8, d.Coded.Values, (*cursor).putF64)
}

func (d Denial) put(c *cursor) {
	c.putCase(1)
	c.putText(d.Code)
	c.putText(d.Reason)
}

func (Pass) put(c *cursor) { c.putCase(2) }

//go:wasmexport wasmgate:policy/routing@2.0.0#describe
func describeRouting() unsafe.Pointer {
	defer logPanic()
	release()
	return described(routing.Describe())
}

//go:wasmexport wasmgate:policy/routing@2.0.0#configure
func configureRouting() unsafe.Pointer {
	defer logPanic()
	release()
	return configured(routing.Configure())
}

//go:wasmexport wasmgate:policy/routing@2.0.0#set-models
func setModelsRouting(base unsafe.Pointer, count uint32) {
	defer logPanic()
	setModels(base, count)
}

//go:wasmexport wasmgate:policy/routing@2.0.0#route
func route(base unsafe.Pointer) unsafe.Pointer {
	defer logPanic()
	request, candidates := arguments(base)
	release()
	verdict, err := routing.Route(request, candidates)
	return result(8+verdictSize, 8, err, func(c *cursor) { verdict.put(c) })
}
