// The routing hook: small models for simple prompts, the most capable one for design and code, and only local ones for what
// is confidential.
#include "contract/routing.hpp"
#include "score.hpp"
#include "settings.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <iterator>

using contract::candidate, contract::tier;
using ranking = std::vector<std::uint32_t>;

static const setting<double> LOW_BELOW = {
    .name = "low-below",
    .summary = "Scores below this, from 0 to 1, are low.",
    .initial = 0.3,
    .least = 0,
    .most = 1,
};
static const setting<double> HIGH_ABOVE = {
    .name = "high-above",
    .summary = "Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
    .initial = 0.6,
    .least = 0,
    .most = 1,
};
static const setting<strings> LOW_MODELS = {
    .name = "low-models",
    .summary = "Models for low scores, the first choice first. Low, medium and high models in a row go from the least to "
               "the most capable: fallbacks go up that row first, then down.",
    .initial = {"tinyllama"},
    .means = tier::low,
};
static const setting<strings> MEDIUM_MODELS = {
    .name = "medium-models",
    .summary = "Models for medium scores, the first choice first.",
    .initial = {"phi2"},
    .means = tier::medium,
};
static const setting<strings> HIGH_MODELS = {
    .name = "high-models",
    .summary = "Models for high scores, the first choice first.",
    .initial = {"claude-sonnet"},
    .means = tier::high,
};
static const setting<strings> COMPLEX_KEYWORDS = {
    .name = "complex-keywords",
    .summary = "Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
    .initial = {"analyze", "design", "architect", "implement", "refactor", "optimize", "debug", "explain in detail",
                "comprehensive", "write code", "create function", "build", "develop"},
};
static const setting<strings> SIMPLE_KEYWORDS = {
    .name = "simple-keywords",
    .summary = "Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
    .initial = {"summarize", "list", "what is", "define", "yes or no", "classify", "categorize", "is this",
                "true or false"},
};
static const setting<std::string> CONFIDENTIAL_LABEL = {
    .name = "confidential-label",
    .summary = "The label that says \"true\" where only local models may see the request.",
    .initial = "x-confidential",
    .means = contract::names_labels{},
};

// How many of the complex keywords that occur the reason names.
constexpr std::size_t NAMED_KEYWORDS = 5;

// The shortest keyword, in bytes: one of a single byte would occur nearly everywhere.
constexpr std::size_t SHORTEST_KEYWORD = 2;

// What `configure` made of the settings.
static struct {
    double low_below, high_above;
    // From the least to the most capable, and where in this row each tier's begin.
    strings models;
    std::array<std::size_t, 3> begins;
    struct keywords keywords;
    std::string confidential_label;
} settings;

contract::manifest routing::describe() {
    contract::manifest described =
        manifest("Small models for simple prompts, the most capable one for design and code.",
                 {.prompt = contract::reads::prompt::newest},
                 {LOW_BELOW.entry(), HIGH_ABOVE.entry(), LOW_MODELS.entry(), MEDIUM_MODELS.entry(), HIGH_MODELS.entry(),
                  COMPLEX_KEYWORDS.entry(), SIMPLE_KEYWORDS.entry(), CONFIDENTIAL_LABEL.entry()});
    described.denies = true;
    return described;
}

static contract::result<void> read_thresholds() {
    const auto low = LOW_BELOW.read(), high = HIGH_ABOVE.read();
    if (!low || !high)
        return std::unexpected((low ? high : low).error());
    if (*low > *high)
        return std::unexpected(
            std::format("setting {} should be at most {} ({}), but is {}", LOW_BELOW.name, HIGH_ABOVE.name, *high, *low));
    settings.low_below = *low;
    settings.high_above = *high;
    return {};
}

static contract::result<void> read_models() {
    strings &models = settings.models;
    models.clear();
    std::size_t tier = 0;
    for (const auto *setting : {&LOW_MODELS, &MEDIUM_MODELS, &HIGH_MODELS}) {
        settings.begins[tier++] = models.size();
        std::ranges::copy(*setting->read(), std::back_inserter(models));
    }
    if (models.empty())
        return std::unexpected(
            std::format("setting {} should name at least one model, as no tier has one", HIGH_MODELS.name));
    for (auto model = models.begin(); model != models.end(); ++model)
        if (std::find(models.begin(), model, *model) != model)
            return std::unexpected(std::format("settings {}, {} and {} should name each model once, but name \"{}\" twice",
                                               LOW_MODELS.name, MEDIUM_MODELS.name, HIGH_MODELS.name, *model));
    return {};
}

static contract::result<strings> read_keywords(const setting<strings> &setting) {
    strings prepared;
    for (const std::string &keyword : *setting.read()) {
        if (keyword.size() < SHORTEST_KEYWORD)
            return std::unexpected(std::format("setting {} should have keywords of two letters or more, but has \"{}\"",
                                               setting.name, keyword));
        std::string lower = lower_case(keyword);
        if (!std::ranges::contains(prepared, lower))
            prepared.push_back(std::move(lower));
    }
    return prepared;
}

contract::result<void> routing::configure() {
    settings.confidential_label = *CONFIDENTIAL_LABEL.read();
    return read_thresholds().and_then(read_models).and_then([]() -> contract::result<void> {
        const auto complex = read_keywords(COMPLEX_KEYWORDS), simple = read_keywords(SIMPLE_KEYWORDS);
        if (!complex || !simple)
            return std::unexpected((complex ? simple : complex).error());
        settings.keywords = {*complex, *simple};
        return {};
    });
}

// Up the row from the tier's first model, then down from there, then all that the settings do not name.
static std::size_t place(tier tier, std::string_view model) {
    const std::size_t begin = settings.begins[static_cast<std::size_t>(tier)], end = settings.models.size();
    const auto at = static_cast<std::size_t>(std::ranges::find(settings.models, model) - settings.models.begin());
    return at == end ? end + 1 : at >= begin ? at - begin : end - at;
}

// The candidates in the tier's order; only the local ones if the request is confidential.
static ranking tier_order(tier tier, std::span<const candidate> candidates, bool confidential) {
    ranking order;
    for (std::uint32_t index = 0; index < candidates.size(); index++)
        if (!confidential || candidates[index].model().location == contract::location::local)
            order.push_back(index);
    // Candidates of the same place stay in the given order.
    std::ranges::stable_sort(order, {}, [&](std::uint32_t index) { return place(tier, candidates[index].model().name); });
    return order;
}

// What keeps a candidate from answering, in words that follow its name; empty if nothing does.
static std::string_view obstacle(const contract::request &request, const candidate &candidate) {
    const std::uint64_t tokens = std::uint64_t{request.prompt_tokens} + (request.max_tokens ? *request.max_tokens : 0);
    if (candidate.health == contract::health::down)
        return "is down";
    if (candidate.breaker == contract::breaker::open)
        return "has an open breaker";
    const contract::model &model = candidate.model();
    if (model.context_window && tokens > *model.context_window)
        return "has too small a context window";
    if (request.tools && !model.capabilities.tools)
        return "cannot call tools";
    if (request.images && !model.capabilities.images)
        return "cannot read images";
    if (request.structured_output && !model.capabilities.structured_output)
        return "cannot be held to an output format";
    return {};
}

// What a score consists of. The keywords in it are the operator's; nothing of the prompt is.
static std::string explained(const score &score) {
    // By way of whole hundredths, so that halves are rounded up.
    const double hundredths = static_cast<int>(score.value * 100 + 0.5);
    std::string reason = std::format("score {:.2f}: length {:+.1f}, {} keywords {:+.1f}", hundredths / 100, score.length,
                                     score.kind, score.keywords);
    for (std::size_t i = 0; i < std::min(NAMED_KEYWORDS, score.found.size()); i++)
        reason += std::format("{}{}", i == 0 ? " (" : ", ", score.found[i]);
    if (!score.found.empty())
        reason += score.found.size() > NAMED_KEYWORDS ? ", …)" : ")";
    if (score.code != 0)
        reason += std::format(", code {:+.1f}", score.code);
    if (score.form != 0)
        reason += std::format(", {} {:+.1f}", score.form < 0 ? "question" : "creation", score.form);
    return reason;
}

contract::result<contract::verdict> routing::route(const contract::request &request, const contract::prompt &prompt,
                                                   std::span<const candidate> candidates) {
    if (request.requested)
        return contract::pass{};

    const score score = judge(prompt.newest(), settings.keywords);
    const tier tier = score.value < settings.low_below    ? tier::low
                      : score.value > settings.high_above ? tier::high
                                                          : tier::medium;
    const bool confidential = contract::label(settings.confidential_label) == "true";
    ranking ranking = tier_order(tier, candidates, confidential);
    if (ranking.empty())
        return contract::denial{"no_local_model", "the request is confidential and no local model is offered"};

    const candidate &wanted = candidates[ranking.front()];
    std::ranges::stable_partition(ranking,
                                  [&](auto index) { return obstacle(request, candidates[index]).empty(); });
    std::string reason = explained(score);
    if (&candidates[ranking.front()] != &wanted)
        reason += std::format("; {} would be first but {}", wanted.model().name.view(), obstacle(request, wanted));
    if (confidential)
        reason += "; confidential";
    return contract::decision{ranking, score.value, tier, reason};
}
