package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"policy/contract"
)

var (
	lowBelow  = number("low-below", "Scores below this, from 0 to 1, are low.", 0, 1, 0.3)
	highAbove = number(
		"high-above",
		"Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
		0, 1, 0.6,
	)
	lowModels = models(
		contract.Low,
		"low-models",
		"Models for low scores, the first choice first. Low, medium and high models in a row go from the least to the "+
			"most capable: fallbacks go up that row first, then down.",
		"tinyllama",
	)
	mediumModels = models(
		contract.Medium, "medium-models", "Models for medium scores, the first choice first.", "phi2",
	)
	highModels = models(
		contract.High, "high-models", "Models for high scores, the first choice first.", "claude-sonnet",
	)
	complexKeywords = texts(
		"complex-keywords",
		"Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
		"analyze", "design", "architect", "implement", "refactor", "optimize", "debug", "explain in detail",
		"comprehensive", "write code", "create function", "build", "develop",
	)
	simpleKeywords = texts(
		"simple-keywords",
		"Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
		"summarize", "list", "what is", "define", "yes or no", "classify", "categorize", "is this", "true or false",
	)
	confidentialLabel = label(
		"confidential-label",
		`The label that says "true" where only local models may see the request.`,
		"x-confidential",
	)
)

// namedKeywords is how many of the complex keywords that occur the reason names.
const namedKeywords = 5

// router is the routing hook: a small model for simple prompts, the most capable one for design and code, and only local
// ones for what is confidential. Its fields are what Configure made of the settings.
type router struct {
	lowBelow, highAbove float64
	// models are in a row, from the least to the most capable; begins says where in it each tier's begin.
	models            []string
	begins            [3]int
	keywords          keywords
	confidentialLabel string
}

func (*router) Describe() contract.Manifest {
	return contract.Manifest{
		Name:    name,
		Version: version,
		Summary: "Small models for simple prompts, the most capable one for design and code.",
		Settings: []contract.Setting{
			lowBelow.entry(), highAbove.entry(), lowModels.entry(), mediumModels.entry(), highModels.entry(),
			complexKeywords.entry(), simpleKeywords.entry(), confidentialLabel.entry(),
		},
		Reads:  contract.Reads{Prompt: contract.ReadsNewest},
		Denies: true,
	}
}

func (r *router) Configure() error {
	var err error
	if r.lowBelow, err = lowBelow.read(); err != nil {
		return err
	}
	if r.highAbove, err = highAbove.read(); err != nil {
		return err
	}
	if r.lowBelow > r.highAbove {
		return fmt.Errorf("setting %s should be at most %s (%v), but is %v", lowBelow.name, highAbove.name, r.highAbove, r.lowBelow)
	}
	r.models = nil
	for tier, models := range []setting[[]string]{lowModels, mediumModels, highModels} {
		r.begins[tier] = len(r.models)
		named, err := models.read()
		if err != nil {
			return err
		}
		r.models = append(r.models, named...)
	}
	if len(r.models) == 0 {
		return fmt.Errorf("setting %s should name at least one model, as no tier has one", highModels.name)
	}
	for i, model := range r.models {
		if slices.Contains(r.models[:i], model) {
			return fmt.Errorf("settings %s, %s and %s should name each model once, but name %q twice",
				lowModels.name, mediumModels.name, highModels.name, model)
		}
	}
	if r.keywords.complex, err = keywordsOf(complexKeywords); err != nil {
		return err
	}
	if r.keywords.simple, err = keywordsOf(simpleKeywords); err != nil {
		return err
	}
	r.confidentialLabel, err = confidentialLabel.read()
	return err
}

// keywordsOf reads a setting's keywords, each once and in lower case. It refuses one of a single byte, which would occur
// nearly everywhere.
func keywordsOf(setting setting[[]string]) ([]string, error) {
	given, err := setting.read()
	if err != nil {
		return nil, err
	}
	var prepared []string
	for _, keyword := range given {
		if len(keyword) < 2 {
			return nil, fmt.Errorf("setting %s should have keywords of two letters or more, but has %q", setting.name, keyword)
		}
		if keyword = lowerCase(keyword); !slices.Contains(prepared, keyword) {
			prepared = append(prepared, keyword)
		}
	}
	return prepared, nil
}

func (r *router) Route(request *contract.Request, candidates []contract.Candidate) (contract.Verdict, error) {
	if request.Requested != nil {
		return contract.Pass{}, nil
	}
	score := judge(request.Newest(), &r.keywords)
	tier := contract.Medium
	if score.value < r.lowBelow {
		tier = contract.Low
	} else if score.value > r.highAbove {
		tier = contract.High
	}
	label := contract.Label(r.confidentialLabel)
	confidential := label != nil && *label == "true"
	wanted := r.ranked(tier, candidates, confidential)
	if len(wanted) == 0 {
		return contract.Denial{
			Code:   "no_local_model",
			Reason: "the request is confidential and no local model is offered",
		}, nil
	}
	ranking := ableFirst(wanted, request, candidates)
	reason := explained(&score)
	if ranking[0] != wanted[0] {
		passedOver := &candidates[wanted[0]]
		reason += fmt.Sprintf("; %s would be first but %s", passedOver.Name, obstacle(request, passedOver))
	}
	if confidential {
		reason += "; confidential"
	}
	return contract.Decision{Ranking: ranking, Complexity: &score.value, Tier: &tier, Reason: reason}, nil
}

// ranked are the candidates in the tier's order; only the local ones if the request is confidential.
func (r *router) ranked(tier contract.Tier, candidates []contract.Candidate, confidential bool) []uint32 {
	var indexes []uint32
	for i := range candidates {
		if !confidential || candidates[i].Location == contract.Local {
			indexes = append(indexes, uint32(i))
		}
	}
	// Candidates of the same place stay in the given order.
	slices.SortStableFunc(indexes, func(a, b uint32) int {
		return r.place(tier, candidates[a].Name) - r.place(tier, candidates[b].Name)
	})
	return indexes
}

// place counts up the row from the tier's first model, then down from there, then all that the settings do not name.
func (r *router) place(tier contract.Tier, model string) int {
	at, begin := slices.Index(r.models, model), r.begins[tier]
	switch {
	case at < 0:
		return len(r.models) + 1
	case at >= begin:
		return at - begin
	default:
		return len(r.models) - at
	}
}

// ableFirst is the ranking with the candidates that have an obstacle at its end.
func ableFirst(ranking []uint32, request *contract.Request, candidates []contract.Candidate) []uint32 {
	var able, unable []uint32
	for _, index := range ranking {
		if obstacle(request, &candidates[index]) == "" {
			able = append(able, index)
		} else {
			unable = append(unable, index)
		}
	}
	return append(able, unable...)
}

// obstacle is what keeps a candidate from answering, in words that follow its name; empty if nothing does.
func obstacle(request *contract.Request, candidate *contract.Candidate) string {
	tokens := uint64(request.PromptTokens)
	if request.MaxTokens != nil {
		tokens += uint64(*request.MaxTokens)
	}
	switch {
	case candidate.Health == contract.Down:
		return "is down"
	case candidate.Breaker == contract.Open:
		return "has an open breaker"
	case candidate.ContextWindow != nil && tokens > uint64(*candidate.ContextWindow):
		return "has too small a context window"
	case request.Tools && !candidate.Capabilities.Has(contract.CanCallTools):
		return "cannot call tools"
	case request.Images && !candidate.Capabilities.Has(contract.CanReadImages):
		return "cannot read images"
	case request.StructuredOutput && !candidate.Capabilities.Has(contract.CanStructureOutput):
		return "cannot be held to an output format"
	default:
		return ""
	}
}

// explained says what a score consists of. The keywords in it are the operator's; nothing of the prompt is.
func explained(score *score) string {
	shares := []string{"length " + signed(score.length)}
	keywords := score.kind + " keywords " + signed(score.keywords)
	if len(score.found) > 0 {
		named := score.found
		if len(named) > namedKeywords {
			named = append(slices.Clone(named[:namedKeywords]), "…")
		}
		keywords += " (" + strings.Join(named, ", ") + ")"
	}
	shares = append(shares, keywords)
	if score.code != 0 {
		shares = append(shares, "code "+signed(score.code))
	}
	if score.form < 0 {
		shares = append(shares, "question "+signed(score.form))
	} else if score.form > 0 {
		shares = append(shares, "creation "+signed(score.form))
	}
	// By way of whole hundredths, so that halves are rounded up.
	hundredths := float64(int(score.value*100 + 0.5))
	return "score " + strconv.FormatFloat(hundredths/100, 'f', 2, 64) + ": " + strings.Join(shares, ", ")
}

// signed is a share as people read it, in tenths.
func signed(share float64) string {
	return fmt.Sprintf("%+.1f", share)
}
