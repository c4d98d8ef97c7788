package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// containsWord says whether a word occurs by itself: no letter, digit or other number of any script, and no underscore is
// right before or after it.
func containsWord(text, word string) bool {
	for at := 0; ; {
		found := strings.Index(text[at:], word)
		if found < 0 {
			return false
		}
		at += found
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(word):])
		if !isWord(before) && !isWord(after) {
			return true
		}
		at += len(word)
	}
}

// isWord says whether a character belongs to a word. The replacement character, which stands for the end of a text, does
// not.
func isWord(r rune) bool {
	return r == '_' || unicode.In(r, unicode.L, unicode.N, unicode.Other_Alphabetic)
}

// Σ, which is ς at the end of a word and σ elsewhere.
const capitalSigma = 'Σ'

// lowerCase is strings.ToLower with the two rules of Unicode for which it takes a letter's neighbours or more than one
// letter.
func lowerCase(text string) string {
	if !strings.ContainsAny(text, "Σİ") {
		return strings.ToLower(text)
	}
	var lowered strings.Builder
	for at, r := range text {
		switch {
		case r == 'İ':
			lowered.WriteString("i\u0307")
		case r == capitalSigma && endsWord(text, at):
			lowered.WriteRune('ς')
		default:
			lowered.WriteRune(unicode.ToLower(r))
		}
	}
	return lowered.String()
}

// endsWord says whether a cased letter comes before the sigma at a place and none after it, when characters that do not
// count as letters of a word are skipped.
func endsWord(text string, at int) bool {
	before := strings.TrimRightFunc(text[:at], isCaseIgnorable)
	after := strings.TrimLeftFunc(text[at+utf8.RuneLen(capitalSigma):], isCaseIgnorable)
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	return isCased(last) && !isCased(next)
}

func isCased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func isCaseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:·’‘․", r)
}
