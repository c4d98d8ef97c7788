/* Which candidate comes before which. */
#ifndef RANKING_H
#define RANKING_H

#include "text.h"

enum { TIERS = WASMGATE_TIER_HIGH + 1 };

/* The models that the settings name. */
struct models {
    policy_list_string_t row; /* from the least to the most capable */
    size_t begins[TIERS];     /* where in the row each tier's begin */
};

/* The candidates in a tier's order; of a confidential request the local ones only. */
policy_list_u32_t tier_order(const struct models *models, const exports_routing_list_candidate_t *candidates,
                             wasmgate_tier_t tier, bool confidential);

/* What keeps a candidate from answering, in words that follow its name; nothing where it can answer. */
const char *obstacle(const wasmgate_request_t *request, const wasmgate_candidate_t *candidate);

/* Moves those with an obstacle to the end, otherwise in order. */
void able_first(const wasmgate_request_t *request, const exports_routing_list_candidate_t *candidates,
                policy_list_u32_t *ranking);

#endif
