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

// Tier says how demanding a request is.
type Tier uint8

const (
	Low Tier = iota
	Medium
	High
)

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
}

// Denial refuses the request.
type Denial struct {
	Code, Reason string
}

// Pass is no opinion: the gateway's own default decides.
type Pass struct{}

// The size of a verdict by the canonical ABI.
const verdictSize = 48

func putCase(c *cursor, tag uint8) {
	c.putU8(tag)
	c.align(8)
}

func (d Decision) put(c *cursor) {
	putCase(c, 0)
	putList(c, 4, d.Ranking, (*cursor).putU32)
	putOption(c, 8, 8, d.Complexity, (*cursor).putF64)
	putOption(c, 1, 1, d.Tier, func(c *cursor, tier Tier) { c.putU8(uint8(tier)) })
	c.putText(d.Reason)
}

func (d Denial) put(c *cursor) {
	putCase(c, 1)
	c.putText(d.Code)
	c.putText(d.Reason)
}

func (Pass) put(c *cursor) { putCase(c, 2) }

//go:wasmexport wasmgate:policy/routing@1.0.0#describe
func describeRouting() unsafe.Pointer {
	defer logPanic()
	release()
	return described(routing.Describe())
}

//go:wasmexport wasmgate:policy/routing@1.0.0#configure
func configureRouting() unsafe.Pointer {
	defer logPanic()
	release()
	return configured(routing.Configure())
}

//go:wasmexport wasmgate:policy/routing@1.0.0#route
func route(base unsafe.Pointer) unsafe.Pointer {
	defer logPanic()
	request, candidates := arguments(base)
	release()
	verdict, err := routing.Route(request, candidates)
	return result(8+verdictSize, 8, err, func(c *cursor) { verdict.put(c) })
}
