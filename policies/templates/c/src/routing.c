/* The routing hook: which model answers. */
#include "support.h"

#include <inttypes.h>

static const struct integer_setting CLOUD_FROM = {
    .name = "cloud-from",
    .summary = "Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
    .least = 1, .most = 1'000'000, .usual = 200,
};

/* What `configure` prepares is there in every call. */
static uint32_t cloud_from;

void exports_routing_describe(exports_routing_manifest_t *ret)
{
    const wasmgate_setting_t settings[] = {integer_entry(&CLOUD_FROM)};
    /* To look at texts: _NEWEST (the user's newest message) or _CONVERSATION. */
    *ret = manifest("Short prompts stay local, long ones go to the cloud.", WASMGATE_READS_PROMPT_NONE, settings,
                    sizeof settings / sizeof *settings);
}

bool exports_routing_configure(policy_string_t *err)
{
    return read_integer(&CLOUD_FROM, &cloud_from, err);
}

void exports_routing_set_models(exports_routing_list_model_t *models)
{
    keep_models(models->ptr, models->len);
}

static bool is_out(const wasmgate_candidate_t *candidate)
{
    return candidate->health == WASMGATE_HEALTH_DOWN || candidate->breaker == WASMGATE_BREAKER_OPEN;
}

/* The candidates by index, best first: those that answer before those that do not, and among them those of the
 * preferred location before the others. */
static policy_list_u32_t rank(const exports_routing_list_candidate_t *candidates, wasmgate_location_t preferred)
{
    policy_list_u32_t ranking = {allocate(candidates->len, sizeof *ranking.ptr), 0};
    for (int out = 0; out <= 1; out++)
        for (int other = 0; other <= 1; other++)
            for (uint32_t index = 0; index < candidates->len; index++) {
                const wasmgate_candidate_t *candidate = &candidates->ptr[index];
                if (is_out(candidate) == out && (model_of(candidate)->location != preferred) == other)
                    ranking.ptr[ranking.len++] = index;
            }
    return ranking;
}

bool exports_routing_route(exports_routing_request_t *request, exports_routing_prompt_t *prompt,
                           exports_routing_list_candidate_t *candidates, exports_routing_verdict_t *ret,
                           policy_string_t *)
{
    const bool is_long = request->prompt_tokens >= cloud_from;
    const policy_string_t reason =
        text("%" PRIu32 " tokens: %s models first", request->prompt_tokens, is_long ? "cloud" : "local");
    const exports_routing_decision_t decision = {
        .ranking = rank(candidates, is_long ? WASMGATE_LOCATION_CLOUD : WASMGATE_LOCATION_LOCAL),
        .tier = {true, is_long ? WASMGATE_TIER_HIGH : WASMGATE_TIER_LOW},
        .reason = {EXPORTS_ROUTING_REASON_TEXT, {.text = reason}},
    };
    *ret = (exports_routing_verdict_t){EXPORTS_ROUTING_VERDICT_ROUTE, {.route = decision}};

    exports_routing_request_free(request);
    exports_routing_prompt_free(prompt);
    exports_routing_list_candidate_free(candidates);
    return true;
}
