package contract

import "fmt"

// Sizes and alignments in memory by the canonical ABI.
const (
	textSize      = 8
	messageSize   = 12
	pairSize      = 16
	budgetSize    = 16
	candidateSize = 144
	priceSize     = 16
	observedSize  = 40
	estimateSize  = 24
	settingSize   = 32
	valueSize     = 16
)

func (c *cursor) request() Request {
	return Request{
		ID:             c.text(),
		Dialect:        Dialect(c.u8()),
		RequestedModel: c.text(),
		Messages:       list(c, messageSize, (*cursor).message),
		PromptTokens:   c.u32(),
		MaxTokens:      option(c, 4, 4, (*cursor).u32),
		Streaming:      c.bool(),
		Tools:          c.bool(),
		Images:         c.bool(),
		Tenant:         option(c, textSize, 4, (*cursor).text),
		Budget:         option(c, budgetSize, 8, (*cursor).budget),
		Labels:         list(c, pairSize, (*cursor).pair),
		Hints:          list(c, pairSize, (*cursor).pair),
	}
}

func (c *cursor) message() Message { return Message{Role: Role(c.u8()), Text: c.text()} }
func (c *cursor) budget() Budget   { return Budget{Limit: c.u64(), Left: c.u64()} }
func (c *cursor) pair() Pair       { return Pair{Name: c.text(), Value: c.text()} }

func (c *cursor) candidate() Candidate {
	return Candidate{
		Model:         c.text(),
		Backend:       c.text(),
		Location:      Location(c.u8()),
		Price:         option(c, priceSize, 8, (*cursor).price),
		ContextWindow: option(c, 4, 4, (*cursor).u32),
		Capabilities:  Capabilities(c.u8()),
		Health:        Health(c.u8()),
		Breaker:       Breaker(c.u8()),
		InFlight:      c.u32(),
		Observed:      option(c, observedSize, 8, (*cursor).observed),
		Estimate:      option(c, estimateSize, 8, (*cursor).estimate),
	}
}

func (c *cursor) price() Price { return Price{Input: c.u64(), Output: c.u64()} }

func (c *cursor) observed() Observed {
	return Observed{
		Latency:          c.f64(),
		TimeToFirstToken: option(c, 8, 8, (*cursor).f64),
		TokensPerSecond:  option(c, 8, 8, (*cursor).f64),
	}
}

func (c *cursor) estimate() CostEstimate {
	return CostEstimate{InputTokens: c.u32(), OutputTokens: c.u32(), Cost: option(c, 8, 8, (*cursor).u64)}
}

func (c *cursor) putEstimate(estimate CostEstimate) {
	c.putU32(estimate.InputTokens)
	c.putU32(estimate.OutputTokens)
	putOption(c, 8, 8, estimate.Cost, (*cursor).putU64)
}

func (c *cursor) putManifest(manifest Manifest) {
	c.putText(manifest.Name)
	c.putText(manifest.Version)
	c.putText(manifest.Summary)
	putList(c, settingSize, manifest.Settings, (*cursor).putSetting)
}

func (c *cursor) putSetting(setting Setting) {
	c.putText(setting.Name)
	c.putText(setting.Summary)
	c.putValue(setting.Default)
}

// The cases of a setting's value.
const (
	boolean = iota
	integer
	number
	text
	texts
)

func (c *cursor) value() any {
	c.align(8)
	tag := c.u8()
	c.align(8)
	switch tag {
	case boolean:
		return c.bool()
	case integer:
		return int64(c.u64())
	case number:
		return c.f64()
	case text:
		return c.text()
	default:
		return list(c, textSize, (*cursor).text)
	}
}

func (c *cursor) putValue(value any) {
	tag := func(tag uint8) {
		c.align(8)
		c.putU8(tag)
		c.align(8)
	}
	switch value := value.(type) {
	case bool:
		tag(boolean)
		c.putU8(map[bool]uint8{true: 1}[value])
	case int64:
		tag(integer)
		c.putU64(uint64(value))
	case float64:
		tag(number)
		c.putF64(value)
	case string:
		tag(text)
		c.putText(value)
	case []string:
		tag(texts)
		putList(c, textSize, value, (*cursor).putText)
	default:
		panic(fmt.Sprintf("a setting has a bool, int64, float64, string or []string, not a %T", value))
	}
}
