/* The cost hook: what a request will cost on each candidate. */
#include "support.h"

static const struct integer_setting EXPECTED_OUTPUT_TOKENS = {
    .name = "expected-output-tokens",
    .summary = "Output tokens to expect of a request, 0 to 10,000,000; fewer where the client's limit is lower.",
    .least = 0, .most = 10'000'000, .usual = 500,
};

static uint32_t expected_output_tokens;

void exports_cost_describe(exports_cost_manifest_t *ret)
{
    const wasmgate_setting_t settings[] = {integer_entry(&EXPECTED_OUTPUT_TOKENS)};
%both     *ret = manifest("Short prompts stay local, long ones go to the cloud.", WASMGATE_READS_PROMPT_NONE, settings,
%one     *ret = manifest("Prompt tokens at the input price and the expected answer at the output price.",
%one                     WASMGATE_READS_PROMPT_NONE, settings,
                    sizeof settings / sizeof *settings);
}

bool exports_cost_configure(policy_string_t *err)
{
    return read_integer(&EXPECTED_OUTPUT_TOKENS, &expected_output_tokens, err);
}

void exports_cost_set_models(exports_cost_list_model_t *models)
{
    keep_models(models->ptr, models->len);
}

/* In nano-dollars, halves rounded up. What 64 bits cannot hold is not known either. */
static uint64_t cost(wasmgate_price_t price, uint32_t input_tokens, uint32_t output_tokens)
{
    constexpr unsigned priced_tokens = 1'000'000;
    /* A product of 32 and 64 bits has at most 96, so that the sum cannot overflow. */
    const unsigned __int128 sum =
        (unsigned __int128)input_tokens * price.input + (unsigned __int128)output_tokens * price.output;
    const unsigned __int128 rounded = (sum + priced_tokens / 2) / priced_tokens;
    return rounded > UNPRICED ? UNPRICED : (uint64_t)rounded;
}

bool exports_cost_estimate(exports_cost_request_t *request, exports_cost_prompt_t *prompt,
                           exports_cost_list_candidate_t *candidates, exports_cost_list_cost_estimate_t *ret,
                           policy_string_t *)
{
    const uint32_t input_tokens = request->prompt_tokens;
    uint32_t output_tokens = expected_output_tokens;
    if (request->max_tokens.is_some && request->max_tokens.val < output_tokens)
        output_tokens = request->max_tokens.val;

    ret->len = candidates->len;
    ret->ptr = allocate(ret->len, sizeof *ret->ptr);
    for (size_t i = 0; i < ret->len; i++) {
        const wasmgate_option_price_t price = model_of(&candidates->ptr[i])->price;
        ret->ptr[i] = (wasmgate_cost_estimate_t){input_tokens, output_tokens, UNPRICED};
        if (price.is_some)
            ret->ptr[i].cost = cost(price.val, input_tokens, output_tokens);
    }
    exports_cost_request_free(request);
    exports_cost_prompt_free(prompt);
    exports_cost_list_candidate_free(candidates);
    return true;
}
