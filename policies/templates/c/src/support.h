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

/* What the policy says of itself. Both hooks of a component give the same name and version. */
wasmgate_manifest_t manifest(const char *summary, const wasmgate_setting_t *settings, size_t count);

#endif
