package contract

import (
	"fmt"
	"math"
)

// Sizes and alignments in memory by the canonical ABI.
const (
	textSize      = 8
	messageSize   = 12
	pairSize      = 16
	budgetSize    = 16
	modelSize     = 72
	candidateSize = 64
	priceSize     = 16
	estimateSize  = 16
	settingSize   = 56
	valueSize     = 16
	manifestSize  = 60
	promptSize    = 20
)

// The numbers of an estimate that are not known.
const (
	unknownTokens = math.MaxUint32
	unpriced      = math.MaxUint64
)

// models are the configured models. Candidates point into it.
var models []Model

func (c *cursor) request() Request {
	return Request{
		Requested:        c.place(),
		AnsweredBefore:   c.place(),
		Pinned:           c.bool(),
		PromptTokens:     c.u32(),
		MaxTokens:        option(c, 4, 4, (*cursor).u32),
		Streaming:        c.bool(),
		Tools:            c.bool(),
		Images:           c.bool(),
		StructuredOutput: c.bool(),
		MessageCount:     c.u32(),
		TextBytes:        c.u64(),
		NewestBytes:      c.u64(),
		Budget:           option(c, budgetSize, 8, (*cursor).budget),
		LeftOut:          LeftOut{Messages: c.u32(), Bytes: c.u64(), Labels: c.u32()},
	}
}

// place reads an optional place among the configured models.
func (c *cursor) place() *Model {
	if place := option(c, 4, 4, (*cursor).u32); place != nil {
		return &models[*place]
	}
	return nil
}

func (c *cursor) budget() Budget { return Budget{Limit: c.u64(), Left: c.u64()} }

// The cases of what a policy reads of the conversation.
const (
	noText = iota
	newestText
	conversation
)

// prompt reads the messages that the policy reads.
func (c *cursor) prompt() []Message {
	c.align(4)
	end := c.at + promptSize
	defer func() { c.at = end }()
	tag := c.u8()
	c.align(4)
	switch tag {
	case noText:
		return nil
	case newestText:
		return []Message{{Role: User, Text: c.text()}}
	default:
		all := c.text()
		return list(c, messageSize, func(c *cursor) Message {
			role, start, length := Role(c.u32()), c.u32(), c.u32()
			return Message{Role: role, Text: all[start : start+length]}
		})
	}
}

func (c *cursor) model() Model {
	return Model{
		Name:          c.text(),
		Backend:       c.text(),
		Location:      Location(c.u8()),
		Price:         option(c, priceSize, 8, (*cursor).price),
		ContextWindow: option(c, 4, 4, (*cursor).u32),
		Capabilities:  Capabilities(c.u8()),
		Labels:        c.labels(),
	}
}

func (c *cursor) price() Price { return Price{Input: c.u64(), Output: c.u64()} }

func (c *cursor) labels() map[string]string {
	labels := map[string]string{}
	for _, pair := range list(c, pairSize, func(c *cursor) [2]string { return [2]string{c.text(), c.text()} }) {
		labels[pair[0]] = pair[1]
	}
	return labels
}

func (c *cursor) candidate() Candidate {
	return Candidate{
		Model:            &models[c.u32()],
		Health:           Health(c.u8()),
		Breaker:          Breaker(c.u8()),
		InFlight:         c.u32(),
		TimeLeft:         c.f64(),
		Latency:          c.observed(),
		TimeToFirstToken: c.observed(),
		TokensPerSecond:  c.observed(),
		Estimate:         c.estimate(),
	}
}

// observed reads a time or a rate, which is 0 where nothing was observed.
func (c *cursor) observed() *float64 {
	if value := (*float64)(c.field(8)); *value > 0 {
		return value
	}
	return nil
}

func (c *cursor) estimate() *CostEstimate {
	input, output, cost := c.u32(), c.u32(), (*uint64)(c.field(8))
	if input == unknownTokens {
		return nil
	}
	if *cost == unpriced {
		cost = nil
	}
	return &CostEstimate{InputTokens: input, OutputTokens: output, Cost: cost}
}

func (c *cursor) putEstimate(estimate CostEstimate) {
	c.putU32(estimate.InputTokens)
	c.putU32(estimate.OutputTokens)
	if estimate.Cost == nil {
		c.putU64(unpriced)
		return
	}
	c.putU64(*estimate.Cost)
}

func (c *cursor) putManifest(manifest Manifest) {
	c.putText(manifest.Name)
	c.putText(manifest.Version)
	c.putText(manifest.Summary)
	putList(c, settingSize, manifest.Settings, (*cursor).putSetting)
	c.putU8(uint8(manifest.Reads.Prompt))
	putList(c, textSize, manifest.Reads.Labels, (*cursor).putText)
	c.putBool(manifest.Reads.Tenant)
	// The end of what it reads.
	c.align(4)
	c.putBool(manifest.Denies)
	putList(c, textSize, manifest.Reasons, (*cursor).putText)
}

func (c *cursor) putSetting(setting Setting) {
	c.putText(setting.Name)
	c.putText(setting.Summary)
	c.putValue(setting.Default)
	c.putMeaning(setting.Meaning)
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

// putCase writes which case of a variant it is. The case's value is aligned to 8.
func (c *cursor) putCase(tag uint8) {
	c.align(8)
	c.putU8(tag)
	c.align(8)
}

// putMeaning writes what a setting's value means beyond its type.
func (c *cursor) putMeaning(meaning any) {
	switch meaning := meaning.(type) {
	case nil:
		c.putCase(0)
	case Range:
		c.putCase(1)
		c.putF64(meaning.Least)
		c.putF64(meaning.Most)
	case NamesModels:
		c.putCase(2)
	case Tier:
		c.putCase(3)
		c.putU8(uint8(meaning))
	case NamesLabels:
		c.putCase(4)
	default:
		panic(fmt.Sprintf("a setting means a Range, NamesModels, NamesLabels or a Tier, not a %T", meaning))
	}
}

func (c *cursor) putValue(value any) {
	tag := c.putCase
	switch value := value.(type) {
	case bool:
		tag(boolean)
		c.putBool(value)
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
