/* What every hook needs: texts, memory, settings, the manifest.
 *
 * `policy.h` is the contract in C, with a comment on each field. What a hook gets it owns and frees; what it returns is
 * allocated with `malloc` and freed by the generated code when the gateway has read it.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "policy.h"

/* Zeroed memory for so many things of a size; none for no thing, as the bindings free only what is not empty. Where
 * there is no memory left the policy traps: the gateway counts a failure, and the next call gets a fresh instance. */
void *allocate(size_t count, size_t size);

/* An owned text, made in the manner of `printf`. A text of the bindings is printed with "%.*s" and its `len` and `ptr`:
 * it has no zero at its end. */
[[gnu::format(printf, 1, 2)]]
policy_string_t text(const char *format, ...);

/* A setting that is a whole number: its name, meaning, range and default in one place. */
struct integer_setting {
    const char *name, *summary;
    uint32_t least, most, usual;
};

/* Its line in the manifest. */
wasmgate_setting_t integer_entry(const struct integer_setting *setting);

/* Stores the operator's value or the default, or is false and stores the sentence that refuses the value. */
bool read_integer(const struct integer_setting *setting, uint32_t *value, policy_string_t *refusal);

/* What the policy says of itself, and how much of the conversation it reads. It reads no label and no tenant, denies nothing and
 * has no reasons by number. Both hooks of a component give the same name and version. */
wasmgate_manifest_t manifest(const char *summary, wasmgate_reads_prompt_t prompt, const wasmgate_setting_t *settings,
                             size_t count);

/* Keeps the configured models, and frees those that were. */
void keep_models(wasmgate_model_t *models, size_t count);

/* The configured model of a candidate. */
const wasmgate_model_t *model_of(const wasmgate_candidate_t *candidate);

/* The text of the newest message of the user, as a view of the prompt's; empty if there is none, or the policy reads no
 * text. */
policy_string_t newest(const wasmgate_prompt_t *prompt);

/* The text of a message, as a view of the conversation's. */
policy_string_t text_of(const wasmgate_conversation_t *conversation, const wasmgate_message_t *message);

/* Whether a time or a rate of a candidate was observed. */
static inline bool is_known(double observed)
{
    return observed > 0;
}

/* Whether the cost policy expects something of a candidate. The cost of one without a price is UNPRICED. */
static inline bool has_estimate(const wasmgate_candidate_t *candidate)
{
    return candidate->estimate.input_tokens != UINT32_MAX;
}

/* The cost of a candidate without a price, in an estimate. */
constexpr uint64_t UNPRICED = UINT64_MAX;

#endif
