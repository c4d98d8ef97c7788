#include "ranking.h"
#include "models.h"

#include <stdlib.h>

/* A candidate's place in a tier's order: up the row from the tier's first, then down from there, then all that the
 * settings do not name. */
static size_t place(const struct models *models, const wasmgate_candidate_t *candidate, wasmgate_tier_t tier)
{
    const size_t begin = models->begins[tier];
    for (size_t i = 0; i < models->row.len; i++)
        if (text_equal(text_view(models->row.ptr[i]), text_view(model_of(candidate)->name)))
            return i >= begin ? i - begin : models->row.len - i;
    return models->row.len + 1;
}

policy_list_u32_t tier_order(const struct models *models, const exports_routing_list_candidate_t *candidates,
                             wasmgate_tier_t tier, bool confidential)
{
    policy_list_u32_t ranking = {allocate(candidates->len, sizeof *ranking.ptr), 0};
    for (uint32_t index = 0; index < candidates->len; index++) {
        if (confidential && model_of(&candidates->ptr[index])->location != WASMGATE_LOCATION_LOCAL)
            continue;
        size_t at = ranking.len++;
        const size_t own = place(models, &candidates->ptr[index], tier);
        for (; at > 0 && place(models, &candidates->ptr[ranking.ptr[at - 1]], tier) > own; at--)
            ranking.ptr[at] = ranking.ptr[at - 1];
        ranking.ptr[at] = index;
    }
    return ranking;
}

const char *obstacle(const wasmgate_request_t *request, const wasmgate_candidate_t *candidate)
{
    const uint64_t tokens =
        (uint64_t)request->prompt_tokens + (request->max_tokens.is_some ? request->max_tokens.val : 0);
    if (candidate->health == WASMGATE_HEALTH_DOWN)
        return "is down";
    if (candidate->breaker == WASMGATE_BREAKER_OPEN)
        return "has an open breaker";
    const wasmgate_model_t *model = model_of(candidate);
    if (model->context_window.is_some && tokens > model->context_window.val)
        return "has too small a context window";
    if (request->tools && !(model->capabilities & WASMGATE_CAPABILITIES_TOOLS))
        return "cannot call tools";
    if (request->images && !(model->capabilities & WASMGATE_CAPABILITIES_IMAGES))
        return "cannot read images";
    if (request->structured_output && !(model->capabilities & WASMGATE_CAPABILITIES_STRUCTURED_OUTPUT))
        return "cannot be held to an output format";
    return nullptr;
}

void able_first(const wasmgate_request_t *request, const exports_routing_list_candidate_t *candidates,
                policy_list_u32_t *ranking)
{
    uint32_t *unable = allocate(ranking->len, sizeof *unable);
    size_t able_count = 0, unable_count = 0;
    for (size_t i = 0; i < ranking->len; i++) {
        const uint32_t index = ranking->ptr[i];
        if (obstacle(request, &candidates->ptr[index]))
            unable[unable_count++] = index;
        else
            ranking->ptr[able_count++] = index;
    }
    for (size_t i = 0; i < unable_count; i++)
        ranking->ptr[able_count + i] = unable[i];
    free(unable);
}
