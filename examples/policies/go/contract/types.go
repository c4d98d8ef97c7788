// Package contract is wasmgate:policy@1.0.0 in Go: its types, settings, the log and the exports of a hook.
// wit/policy.wit says what each field means. A field that the contract has as an option is a pointer, nil for none.
package contract

// Dialect is the wire dialect in which the client spoke.
type Dialect uint8

const (
	Native Dialect = iota
	OpenAI
	Anthropic
	Ollama
)

// Role says who wrote a message.
type Role uint8

const (
	System Role = iota
	User
	Assistant
	Tool
)

// Message is one message of the conversation.
type Message struct {
	Role Role
	Text string
}

// Budget is a dollar budget that applies to the request, in nano-dollars.
type Budget struct {
	Limit, Left uint64
}

// Pair is a label or a hint.
type Pair struct {
	Name, Value string
}

// Request is what a policy may know of a request.
type Request struct {
	ID             string
	Dialect        Dialect
	RequestedModel string
	Messages       []Message
	PromptTokens   uint32
	MaxTokens      *uint32
	Streaming      bool
	Tools          bool
	Images         bool
	Tenant         *string
	Budget         *Budget
	Labels         []Pair
	Hints          []Pair
}

// Location says where a model runs.
type Location uint8

const (
	Local Location = iota
	Cloud
)

func (l Location) String() string { return [...]string{"local", "cloud"}[l] }

// Health is what probes and recent traffic say of a backend.
type Health uint8

const (
	Unknown Health = iota
	Healthy
	Degraded
	Down
)

// Breaker is the state of a backend's circuit breaker.
type Breaker uint8

const (
	Closed Breaker = iota
	HalfOpen
	Open
)

// Capabilities is a set of what a model can do besides text.
type Capabilities uint8

const (
	CanCallTools Capabilities = 1 << iota
	CanReadImages
	CanStructureOutput
)

// Has says whether the model can do that.
func (c Capabilities) Has(capability Capabilities) bool { return c&capability != 0 }

// Price is in nano-dollars per million tokens.
type Price struct {
	Input, Output uint64
}

// Observed is what recent calls of a model took: seconds, and tokens a second.
type Observed struct {
	Latency          float64
	TimeToFirstToken *float64
	TokensPerSecond  *float64
}

// CostEstimate is what a cost policy expects of one candidate; the cost is in nano-dollars.
type CostEstimate struct {
	InputTokens, OutputTokens uint32
	Cost                      *uint64
}

// Candidate is a model that may answer the request.
type Candidate struct {
	Model         string
	Backend       string
	Location      Location
	Price         *Price
	ContextWindow *uint32
	Capabilities  Capabilities
	Health        Health
	Breaker       Breaker
	InFlight      uint32
	Observed      *Observed
	Estimate      *CostEstimate
}

// Setting is a setting that the policy understands. Its default is a bool, int64, float64, string or []string.
type Setting struct {
	Name, Summary string
	Default       any
}

// Manifest is what a policy says of itself. Both hooks of a component give the same name and version.
type Manifest struct {
	Name, Version, Summary string
	Settings               []Setting
}
