#include "models.h"

#include <stdlib.h>

static wasmgate_model_t *configured;
static size_t configured_count;

void keep_models(wasmgate_model_t *models, size_t count)
{
    for (size_t i = 0; i < configured_count; i++)
        wasmgate_model_free(&configured[i]);
    /* An empty list has no memory, only an address. */
    if (configured_count > 0)
        free(configured);
    configured = models;
    configured_count = count;
}

const wasmgate_model_t *model_of(const wasmgate_candidate_t *candidate)
{
    return &configured[candidate->model];
}
