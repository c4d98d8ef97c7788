/* The configured models, which the gateway gives before the first decision, and again when they changed. */
#ifndef MODELS_H
#define MODELS_H

#include "policy.h"

/* The cost of a candidate without a price, in an estimate. */
constexpr uint64_t UNPRICED = UINT64_MAX;

/* Keeps the configured models, and frees those that were. */
void keep_models(wasmgate_model_t *models, size_t count);

/* The configured model of a candidate. */
const wasmgate_model_t *model_of(const wasmgate_candidate_t *candidate);

#endif
