package main

import (
	"strings"
	"unicode/utf8"
)

// keywords are in lower case, each once.
type keywords struct {
	complex, simple []string
}

// score is how demanding a text is: a sum of shares from 0 to 1, and what it consists of.
type score struct {
	value, length, keywords, code, form float64
	// kind is that of the keywords: complex, simple or no.
	kind string
	// found are the complex keywords that occur, in the order of the setting.
	found []string
}

// judge adds doubles in this order, and they are compared exactly: 0.1 + 0.2 is above 0.3, and must stay so.
func judge(text string, keywords *keywords) score {
	lower := lowerCase(text)
	score := score{length: lengthShare(text), kind: "no", keywords: 0.1}
	for _, keyword := range keywords.complex {
		if strings.Contains(lower, keyword) {
			score.found = append(score.found, keyword)
		}
	}
	if len(score.found) > 0 {
		score.kind, score.keywords = "complex", min(float64(len(score.found))*0.1, 0.3)
	} else if containsAny(lower, keywords.simple) {
		score.kind, score.keywords = "simple", -0.1
	}
	if marksOfCode(text) >= 2 {
		score.code = 0.3
	}
	if questions := strings.Count(text, "?"); questions == 1 || questions == 2 {
		score.form = -0.1
	} else if containsAny(lower, []string{"create", "build"}) {
		score.form = 0.2
	}
	score.value = min(max(score.length+score.keywords+score.code+score.form, 0), 1)
	return score
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// lengthShare counts Unicode scalar values.
func lengthShare(text string) float64 {
	switch length := utf8.RuneCountInString(text); {
	case length < 100:
		return 0.1
	case length < 500:
		return 0.3
	default:
		return 0.5
	}
}

// marksOfCode counts which of the seven marks of code there are: brackets, backticks and five words.
func marksOfCode(text string) int {
	marks := 0
	if strings.ContainsAny(text, "{}[]();") {
		marks++
	}
	if strings.Contains(text, "```") {
		marks++
	}
	for _, word := range []string{"def", "class", "function", "import", "from"} {
		if containsWord(text, word) {
			marks++
		}
	}
	return marks
}
