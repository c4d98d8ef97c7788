/* Settings: what one is called, what it means, what it may be and its default, in one place.
 *
 * A hook states each of its settings as a constant, puts the entry into its manifest and reads it in `configure`. The
 * default is written once, and a value that will not do is refused with a sentence that names the setting, what it
 * should be and what it is.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "text.h"

struct integer_setting {
    const char *name, *summary;
    uint32_t least, most, usual;
};

struct number_setting {
    const char *name, *summary;
    double least, most, usual;
};

struct text_setting {
    const char *name, *summary, *usual;
    wasmgate_meaning_t meaning; /* what it names, if it does: models or labels */
};

struct texts_setting {
    const char *name, *summary;
    const char *const *usual;   /* ends with a null pointer */
    wasmgate_meaning_t meaning; /* what they name, if they do: models, those of a tier, or labels */
};

wasmgate_setting_t integer_entry(const struct integer_setting *setting);
wasmgate_setting_t number_entry(const struct number_setting *setting);
wasmgate_setting_t text_entry(const struct text_setting *setting);
wasmgate_setting_t texts_entry(const struct texts_setting *setting);

/* The policy's manifest, of one that denies nothing. Both hooks give the same name and version. */
wasmgate_manifest_t manifest(const char *summary, wasmgate_reads_prompt_t prompt, const wasmgate_setting_t *settings,
                             size_t count);

/* Stores the operator's value or the default, or is false and stores the sentence that refuses the value. */
bool read_integer(const struct integer_setting *setting, uint32_t *value, policy_string_t *refusal);
bool read_number(const struct number_setting *setting, double *value, policy_string_t *refusal);

/* The operator's value or the default, owned by the caller. */
policy_string_t read_text(const struct text_setting *setting);
policy_list_string_t read_texts(const struct texts_setting *setting);

/* Appends a number with the fewest decimals that mean just that number. */
void append_number(policy_string_t *owned, double number);

#endif
