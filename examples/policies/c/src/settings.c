#include "settings.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static constexpr char NAME[] = "complexity-c";
static constexpr char VERSION[] = "1.0.0";

/* So many tell the smallest double from 0. */
enum { MOST_DECIMALS = 324 };

static policy_list_string_t copies(const char *const *texts)
{
    policy_list_string_t list = {};
    while (texts[list.len])
        list.len++;
    list.ptr = allocate(list.len, sizeof *list.ptr);
    for (size_t i = 0; i < list.len; i++)
        list.ptr[i] = text_copy(text_of(texts[i]));
    return list;
}

static wasmgate_setting_t entry(const char *name, const char *summary, wasmgate_value_t usual,
                                wasmgate_meaning_t meaning)
{
    return (wasmgate_setting_t){text_copy(text_of(name)), text_copy(text_of(summary)), usual, meaning};
}

static wasmgate_meaning_t range(double least, double most)
{
    return (wasmgate_meaning_t){WASMGATE_MEANING_RANGE, {.range = {least, most}}};
}

wasmgate_setting_t integer_entry(const struct integer_setting *setting)
{
    const wasmgate_value_t usual = {WASMGATE_VALUE_INTEGER, {.integer = setting->usual}};
    return entry(setting->name, setting->summary, usual, range(setting->least, setting->most));
}

wasmgate_setting_t number_entry(const struct number_setting *setting)
{
    const wasmgate_value_t usual = {WASMGATE_VALUE_NUMBER, {.number = setting->usual}};
    return entry(setting->name, setting->summary, usual, range(setting->least, setting->most));
}

wasmgate_setting_t text_entry(const struct text_setting *setting)
{
    const wasmgate_value_t usual = {WASMGATE_VALUE_TEXT, {.text = text_copy(text_of(setting->usual))}};
    return entry(setting->name, setting->summary, usual, setting->meaning);
}

wasmgate_setting_t texts_entry(const struct texts_setting *setting)
{
    const wasmgate_value_t usual = {WASMGATE_VALUE_TEXTS, {.texts = copies(setting->usual)}};
    return entry(setting->name, setting->summary, usual, setting->meaning);
}

wasmgate_manifest_t manifest(const char *summary, wasmgate_reads_prompt_t prompt, const wasmgate_setting_t *settings,
                             size_t count)
{
    wasmgate_manifest_t manifest = {
        .name = text_copy(text_of(NAME)),
        .version = text_copy(text_of(VERSION)),
        .summary = text_copy(text_of(summary)),
        .settings = {allocate(count, sizeof *settings), count},
        .reads = {.prompt = prompt},
    };
    memcpy(manifest.settings.ptr, settings, count * sizeof *settings);
    return manifest;
}

/* The gateway has checked the type of what the operator wrote: but for a whole number where any number will do, it is
 * that of the manifest. */
static bool given(const char *name, wasmgate_value_t *value)
{
    const text view = text_of(name);
    policy_string_t passed = {(uint8_t *)view.at, view.length};
    return settings_get(&passed, value);
}

bool read_integer(const struct integer_setting *setting, uint32_t *value, policy_string_t *refusal)
{
    wasmgate_value_t own;
    *value = setting->usual;
    if (!given(setting->name, &own))
        return true;
    if (own.val.integer < setting->least || own.val.integer > setting->most) {
        text_append(refusal, "setting %s should be a whole number from %" PRIu32 " to %" PRIu32 ", but is %" PRId64,
                    setting->name, setting->least, setting->most, own.val.integer);
        return false;
    }
    *value = (uint32_t)own.val.integer;
    return true;
}

bool read_number(const struct number_setting *setting, double *value, policy_string_t *refusal)
{
    wasmgate_value_t own;
    *value = setting->usual;
    if (!given(setting->name, &own))
        return true;
    *value = own.tag == WASMGATE_VALUE_INTEGER ? (double)own.val.integer : own.val.number;
    if (*value >= setting->least && *value <= setting->most)
        return true;
    text_append(refusal, "setting %s should be a number from ", setting->name);
    append_number(refusal, setting->least);
    text_append(refusal, " to ");
    append_number(refusal, setting->most);
    text_append(refusal, ", but is ");
    append_number(refusal, *value);
    return false;
}

policy_string_t read_text(const struct text_setting *setting)
{
    wasmgate_value_t own;
    return given(setting->name, &own) ? own.val.text : text_copy(text_of(setting->usual));
}

policy_list_string_t read_texts(const struct texts_setting *setting)
{
    wasmgate_value_t own;
    return given(setting->name, &own) ? own.val.texts : copies(setting->usual);
}

void append_number(policy_string_t *owned, double number)
{
    char digits[DBL_MAX_10_EXP + MOST_DECIMALS + sizeof "-1."];
    for (int decimals = 0; decimals <= MOST_DECIMALS; decimals++) {
        snprintf(digits, sizeof digits, "%.*f", decimals, number);
        if (strtod(digits, nullptr) == number)
            break;
    }
    text_append(owned, "%s", digits);
}
