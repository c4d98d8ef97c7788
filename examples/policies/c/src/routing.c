/* The routing hook: small models for simple prompts, the most capable one for design and code. */
#include "models.h"
#include "ranking.h"
#include "score.h"
#include "settings.h"

#include <stdlib.h>

static const struct number_setting LOW_BELOW = {
    .name = "low-below",
    .summary = "Scores below this, from 0 to 1, are low.",
    .least = 0.0, .most = 1.0, .usual = 0.3,
};
static const struct number_setting HIGH_ABOVE = {
    .name = "high-above",
    .summary = "Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
    .least = 0.0, .most = 1.0, .usual = 0.6,
};
static const struct texts_setting LOW_MODELS = {
    .name = "low-models",
    .summary = "Models for low scores, the first choice first. Low, medium and high models in a row go from the least "
               "to the most capable: fallbacks go up that row first, then down.",
    .usual = (const char *const[]){"tinyllama", nullptr},
    .meaning = {WASMGATE_MEANING_TIER, {.tier = WASMGATE_TIER_LOW}},
};
static const struct texts_setting MEDIUM_MODELS = {
    .name = "medium-models",
    .summary = "Models for medium scores, the first choice first.",
    .usual = (const char *const[]){"phi2", nullptr},
    .meaning = {WASMGATE_MEANING_TIER, {.tier = WASMGATE_TIER_MEDIUM}},
};
static const struct texts_setting HIGH_MODELS = {
    .name = "high-models",
    .summary = "Models for high scores, the first choice first.",
    .usual = (const char *const[]){"claude-sonnet", nullptr},
    .meaning = {WASMGATE_MEANING_TIER, {.tier = WASMGATE_TIER_HIGH}},
};
static const struct texts_setting COMPLEX_KEYWORDS = {
    .name = "complex-keywords",
    .summary = "Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
    .usual = (const char *const[]){
        "analyze", "design", "architect", "implement", "refactor", "optimize", "debug", "explain in detail",
        "comprehensive", "write code", "create function", "build", "develop", nullptr,
    },
};
static const struct texts_setting SIMPLE_KEYWORDS = {
    .name = "simple-keywords",
    .summary = "Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
    .usual = (const char *const[]){
        "summarize", "list", "what is", "define", "yes or no", "classify", "categorize", "is this", "true or false",
        nullptr,
    },
};
static const struct text_setting CONFIDENTIAL_LABEL = {
    .name = "confidential-label",
    .summary = "The label that is `true` on requests that only local models may see.",
    .usual = "x-confidential",
    .meaning = {.tag = WASMGATE_MEANING_LABELS},
};

/* The shortest keyword, in bytes: one of a single byte would be found nearly everywhere. */
constexpr size_t SHORTEST_KEYWORD = 2;

static double low_below, high_above;
static struct models models;
static struct scorer scorer;
static policy_string_t confidential_label;

void exports_routing_describe(exports_routing_manifest_t *ret)
{
    const wasmgate_setting_t settings[] = {
        number_entry(&LOW_BELOW),       number_entry(&HIGH_ABOVE),       texts_entry(&LOW_MODELS),
        texts_entry(&MEDIUM_MODELS),    texts_entry(&HIGH_MODELS),       texts_entry(&COMPLEX_KEYWORDS),
        texts_entry(&SIMPLE_KEYWORDS),  text_entry(&CONFIDENTIAL_LABEL),
    };
    *ret = manifest("Small models for simple prompts, the most capable one for design and code.", WASMGATE_READS_PROMPT_NEWEST, settings,
                    sizeof settings / sizeof *settings);
    ret->denies = true;
}

static bool read_thresholds(policy_string_t *refusal)
{
    if (!read_number(&LOW_BELOW, &low_below, refusal) || !read_number(&HIGH_ABOVE, &high_above, refusal))
        return false;
    if (low_below <= high_above)
        return true;
    text_append(refusal, "setting %s should be at most %s (", LOW_BELOW.name, HIGH_ABOVE.name);
    append_number(refusal, high_above);
    text_append(refusal, "), but is ");
    append_number(refusal, low_below);
    return false;
}

static bool read_models(policy_string_t *refusal)
{
    const struct texts_setting *const settings[TIERS] = {&LOW_MODELS, &MEDIUM_MODELS, &HIGH_MODELS};
    policy_list_string_t tiers[TIERS];
    size_t total = 0;
    for (size_t tier = 0; tier < TIERS; tier++) {
        tiers[tier] = read_texts(settings[tier]);
        models.begins[tier] = total;
        total += tiers[tier].len;
    }
    models.row = (policy_list_string_t){allocate(total, sizeof(policy_string_t)), 0};
    for (size_t tier = 0; tier < TIERS; tier++) {
        for (size_t i = 0; i < tiers[tier].len; i++)
            models.row.ptr[models.row.len++] = tiers[tier].ptr[i];
        /* An empty list has no memory, only an address. */
        if (tiers[tier].len > 0)
            free(tiers[tier].ptr);
    }
    if (total == 0) {
        text_append(refusal, "setting %s should name at least one model, as no tier has one", HIGH_MODELS.name);
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        const text model = text_view(models.row.ptr[i]);
        for (size_t before = 0; before < i; before++) {
            if (text_equal(text_view(models.row.ptr[before]), model)) {
                text_append(refusal, "settings %s, %s and %s should name each model once, but name \"%.*s\" twice",
                            LOW_MODELS.name, MEDIUM_MODELS.name, HIGH_MODELS.name, TEXT_ARGS(model));
                return false;
            }
        }
    }
    return true;
}

static bool read_keywords(const struct texts_setting *setting, policy_list_string_t *keywords, policy_string_t *refusal)
{
    *keywords = read_texts(setting);
    for (size_t i = 0; i < keywords->len; i++) {
        if (keywords->ptr[i].len < SHORTEST_KEYWORD) {
            text_append(refusal, "setting %s should have keywords of two letters or more, but has \"%.*s\"",
                        setting->name, TEXT_ARGS(text_view(keywords->ptr[i])));
            return false;
        }
    }
    return true;
}

/* What is allocated here stays for the life of the instance. */
bool exports_routing_configure(policy_string_t *err)
{
    *err = (policy_string_t){};
    policy_list_string_t complex, simple;
    if (!read_thresholds(err) || !read_models(err) || !read_keywords(&COMPLEX_KEYWORDS, &complex, err) ||
        !read_keywords(&SIMPLE_KEYWORDS, &simple, err))
        return false;
    scorer = scorer_new(complex, simple);
    policy_list_string_free(&complex);
    policy_list_string_free(&simple);
    confidential_label = read_text(&CONFIDENTIAL_LABEL);
    return true;
}

static bool is_confidential(void)
{
    policy_string_t value;
    if (!facts_label(&confidential_label, &value))
        return false;
    const bool is_true = text_equal(text_view(value), text_of("true"));
    policy_string_free(&value);
    return is_true;
}

/* A score on a threshold is medium. */
static wasmgate_tier_t tier_of(double score)
{
    return score < low_below    ? WASMGATE_TIER_LOW
           : score > high_above ? WASMGATE_TIER_HIGH
                                : WASMGATE_TIER_MEDIUM;
}

/* What the score is made of. The keywords in it are the operator's; nothing of the prompt is. */
static policy_string_t explained(const struct score *score)
{
    policy_string_t reason = {};
    const unsigned hundredths = (unsigned)(score->value * 100.0 + 0.5);
    text_append(&reason, "score %u.%02u: length %+.1f, %s keywords %+.1f", hundredths / 100, hundredths % 100,
                score->length, score->found[COMPLEX] ? "complex" : score->found[SIMPLE] ? "simple" : "no",
                score->keywords);
    for (size_t i = 0; i < NAMED && i < score->found[COMPLEX]; i++)
        text_append(&reason, "%s%.*s", i == 0 ? " (" : ", ", TEXT_ARGS(score->named[i]));
    if (score->found[COMPLEX])
        text_append(&reason, score->found[COMPLEX] > NAMED ? ", …)" : ")");
    if (score->code != 0.0)
        text_append(&reason, ", code %+.1f", score->code);
    if (score->form != 0.0)
        text_append(&reason, ", %s %+.1f", score->form < 0.0 ? "question" : "creation", score->form);
    return reason;
}

static exports_routing_verdict_t decide(const wasmgate_request_t *request, const wasmgate_prompt_t *prompt,
                                        const exports_routing_list_candidate_t *candidates)
{
    if (request->requested.is_some)
        return (exports_routing_verdict_t){.tag = EXPORTS_ROUTING_VERDICT_PASS};

    const struct score score = score_text(&scorer, text_newest(prompt));
    const wasmgate_tier_t tier = tier_of(score.value);
    const bool confidential = is_confidential();
    policy_list_u32_t ranking = tier_order(&models, candidates, tier, confidential);
    if (ranking.len == 0) {
        free(ranking.ptr);
        const exports_routing_denial_t denial = {
            .code = text_copy(text_of("no_local_model")),
            .reason = text_copy(text_of("the request is confidential and no local model is offered")),
        };
        return (exports_routing_verdict_t){EXPORTS_ROUTING_VERDICT_DENY, {.deny = denial}};
    }

    const uint32_t wanted = ranking.ptr[0];
    able_first(request, candidates, &ranking);
    policy_string_t reason = explained(&score);
    if (ranking.ptr[0] != wanted) {
        const wasmgate_candidate_t *passed_over = &candidates->ptr[wanted];
        text_append(&reason, "; %.*s would be first but %s", TEXT_ARGS(text_view(model_of(passed_over)->name)),
                    obstacle(request, passed_over));
    }
    if (confidential)
        text_append(&reason, "; confidential");
    const exports_routing_decision_t decision = {
        .ranking = ranking,
        .complexity = {true, score.value},
        .tier = {true, tier},
        .reason = {EXPORTS_ROUTING_REASON_TEXT, {.text = reason}},
    };
    return (exports_routing_verdict_t){EXPORTS_ROUTING_VERDICT_ROUTE, {.route = decision}};
}

void exports_routing_set_models(exports_routing_list_model_t *configured)
{
    keep_models(configured->ptr, configured->len);
}

bool exports_routing_route(exports_routing_request_t *request, exports_routing_prompt_t *prompt,
                           exports_routing_list_candidate_t *candidates, exports_routing_verdict_t *ret,
                           policy_string_t *)
{
    *ret = decide(request, prompt, candidates);
    /* What the hook got is its own, as in all hooks. */
    exports_routing_request_free(request);
    exports_routing_prompt_free(prompt);
    exports_routing_list_candidate_free(candidates);
    return true;
}
