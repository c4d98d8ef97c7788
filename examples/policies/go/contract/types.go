// Package contract is wasmgate:policy@2.0.0 in Go: its types, settings, the log and the exports of a hook.
// wit/policy.wit says what each field means. A field that may be unknown is a pointer, nil for none.
package contract

import "slices"

// Role says who wrote a message.
type Role uint32

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

// LeftOut is what a policy is not shown of what it reads, because of the operator's input limit.
type LeftOut struct {
	Messages uint32
	Bytes    uint64
	Labels   uint32
}

// Request is what a policy may know of a request. What its manifest does not read is not here.
type Request struct {
	// Requested is the model that the client asked for; nil for auto.
	Requested *Model
	// AnsweredBefore is the model that answered this conversation before.
	AnsweredBefore   *Model
	Pinned           bool
	PromptTokens     uint32
	MaxTokens        *uint32
	Streaming        bool
	Tools            bool
	Images           bool
	StructuredOutput bool
	// MessageCount, TextBytes and NewestBytes count all messages, read or not.
	MessageCount uint32
	TextBytes    uint64
	NewestBytes  uint64
	Budget       *Budget
	LeftOut      LeftOut
	// Messages are the messages that the policy reads, oldest first.
	Messages []Message
}

// Newest is the text of the newest message of the user; empty if there is none, or the policy reads no text.
func (r *Request) Newest() string {
	for _, message := range slices.Backward(r.Messages) {
		if message.Role == User {
			return message.Text
		}
	}
	return ""
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

// Model is a configured model.
type Model struct {
	Name          string
	Backend       string
	Location      Location
	Price         *Price
	ContextWindow *uint32
	Capabilities  Capabilities
	// Labels are the operator's: name and value.
	Labels map[string]string
}

// CostEstimate is what a cost policy expects of one candidate; the cost is in nano-dollars.
type CostEstimate struct {
	InputTokens, OutputTokens uint32
	Cost                      *uint64
}

// Candidate is a configured model that may answer the request, at this moment. Durations are in seconds.
type Candidate struct {
	*Model
	Health           Health
	Breaker          Breaker
	InFlight         uint32
	TimeLeft         float64
	Latency          *float64
	TimeToFirstToken *float64
	TokensPerSecond  *float64
	Estimate         *CostEstimate
}

// Tier says how demanding a request is.
type Tier uint8

const (
	Low Tier = iota
	Medium
	High
)

// Setting is a setting that the policy understands. Its default is a bool, int64, float64, string or []string.
type Setting struct {
	Name, Summary string
	Default       any
	// Meaning is what a value means beyond its type: nil, a Range, NamesModels, NamesLabels, or the Tier whose models it
	// names.
	Meaning any
}

// Range is what a number may be, both ends included.
type Range struct {
	Least, Most float64
}

// NamesModels is the meaning of a setting that names models.
type NamesModels struct{}

// NamesLabels is the meaning of a setting that names labels: the policy reads these labels too.
type NamesLabels struct{}

// ReadsPrompt is how much of the conversation a policy reads.
type ReadsPrompt uint8

const (
	ReadsNothing ReadsPrompt = iota
	ReadsNewest
	ReadsConversation
)

// Reads is what a policy reads of requests: nothing, if it is left out. What a policy does not read, it cannot see.
type Reads struct {
	Prompt ReadsPrompt
	Labels []string
	Tenant bool
}

// Manifest is what a policy says of itself. Both hooks of a component give the same name and version.
type Manifest struct {
	Name, Version, Summary string
	Settings               []Setting
	Reads                  Reads
	// Denies says whether it can deny requests.
	Denies bool
	// Reasons are the texts of Coded reasons.
	Reasons []string
}
