package main

import (
	"fmt"
	"strconv"
	"strings"

	"policy/contract"
)

const (
	name    = "complexity-go"
	version = "1.0.0"
)

// setting is a setting in one place: its name, meaning and default, and what it may be.
type setting[T any] struct {
	name, summary string
	// initial is the default.
	initial T
	// should completes the sentence that refuses a value.
	should string
	// accepts says whether a value will do.
	accepts func(T) bool
	// meaning is what its value means beyond its type.
	meaning any
}

// entry is the setting's line in the manifest.
func (s setting[T]) entry() contract.Setting {
	return contract.Setting{Name: s.name, Summary: s.summary, Default: s.initial, Meaning: s.meaning}
}

// read returns the operator's value or the default.
func (s setting[T]) read() (T, error) {
	given := contract.Get(s.name)
	if given == nil {
		return s.initial, nil
	}
	value, ok := given.(T)
	if !ok {
		// For a number, an operator may write a whole one.
		if whole, isWhole := given.(int64); isWhole {
			value, ok = any(float64(whole)).(T)
		}
	}
	if !ok || s.accepts != nil && !s.accepts(value) {
		return value, fmt.Errorf("setting %s should be %s, but is %s", s.name, s.should, shown(given))
	}
	return value, nil
}

// wholeNumber is a setting that is a whole number from least to most.
func wholeNumber(name, summary string, least, most, initial int64) setting[int64] {
	return setting[int64]{
		name: name, summary: summary, initial: initial,
		should:  fmt.Sprintf("a whole number from %d to %d", least, most),
		accepts: func(value int64) bool { return value >= least && value <= most },
		meaning: contract.Range{Least: float64(least), Most: float64(most)},
	}
}

// number is a setting that is any number from least to most.
func number(name, summary string, least, most, initial float64) setting[float64] {
	return setting[float64]{
		name: name, summary: summary, initial: initial,
		should:  fmt.Sprintf("a number from %v to %v", least, most),
		accepts: func(value float64) bool { return value >= least && value <= most },
		meaning: contract.Range{Least: least, Most: most},
	}
}

// label is a setting that names a label.
func label(name, summary, initial string) setting[string] {
	return setting[string]{name: name, summary: summary, initial: initial, should: "a text", meaning: contract.NamesLabels{}}
}

// texts is a setting that is a list of texts.
func texts(name, summary string, initial ...string) setting[[]string] {
	return setting[[]string]{name: name, summary: summary, initial: initial, should: "a list of texts"}
}

// models is a setting that names the models of a tier.
func models(tier contract.Tier, name, summary string, initial ...string) setting[[]string] {
	setting := texts(name, summary, initial...)
	setting.meaning = tier
	return setting
}

// shown is a value as operators write it.
func shown(value any) string {
	switch value := value.(type) {
	case string:
		return strconv.Quote(value)
	case []string:
		quoted := make([]string, len(value))
		for i, text := range value {
			quoted[i] = strconv.Quote(text)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(value)
	}
}
