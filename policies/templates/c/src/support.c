#include "support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static constexpr char NAME[] = "{{name}}";
static constexpr char VERSION[] = "1.0.0";

void *allocate(size_t count, size_t size)
{
    void *memory = count ? calloc(count, size) : nullptr;
    if (count && !memory)
        abort();
    return memory;
}

policy_string_t text(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(nullptr, 0, format, arguments);
    if (length < 0)
        abort();
    policy_string_t made = {};
    if (length > 0) {
        /* `vsnprintf` ends what it writes with a zero. */
        made = (policy_string_t){allocate((size_t)length + 1, 1), (size_t)length};
        vsnprintf((char *)made.ptr, (size_t)length + 1, format, again);
    }
    va_end(again);
    va_end(arguments);
    return made;
}

wasmgate_setting_t integer_entry(const struct integer_setting *setting)
{
    const wasmgate_value_t usual = {WASMGATE_VALUE_INTEGER, {.integer = setting->usual}};
    const wasmgate_meaning_t range = {WASMGATE_MEANING_RANGE, {.range = {setting->least, setting->most}}};
    return (wasmgate_setting_t){text("%s", setting->name), text("%s", setting->summary), usual, range};
}

bool read_integer(const struct integer_setting *setting, uint32_t *value, policy_string_t *refusal)
{
    policy_string_t name = {(uint8_t *)setting->name, strlen(setting->name)};
    wasmgate_value_t own;
    *value = setting->usual;
    if (!settings_get(&name, &own))
        return true;
    /* The gateway has checked that it is a whole number. */
    if (own.val.integer < setting->least || own.val.integer > setting->most) {
        *refusal = text("setting %s should be a whole number from %" PRIu32 " to %" PRIu32 ", but is %" PRId64,
                        setting->name, setting->least, setting->most, own.val.integer);
        return false;
    }
    *value = (uint32_t)own.val.integer;
    return true;
}

wasmgate_manifest_t manifest(const char *summary, wasmgate_reads_prompt_t prompt, const wasmgate_setting_t *settings,
                             size_t count)
{
    wasmgate_manifest_t manifest = {
        .name = text("%s", NAME),
        .version = text("%s", VERSION),
        .summary = text("%s", summary),
        .settings = {allocate(count, sizeof *settings), count},
        .reads = {.prompt = prompt},
    };
    memcpy(manifest.settings.ptr, settings, count * sizeof *settings);
    return manifest;
}

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

policy_string_t newest(const wasmgate_prompt_t *prompt)
{
    if (prompt->tag == WASMGATE_PROMPT_NEWEST)
        return prompt->val.newest;
    if (prompt->tag == WASMGATE_PROMPT_CONVERSATION) {
        const wasmgate_conversation_t *conversation = &prompt->val.conversation;
        for (size_t i = conversation->messages.len; i-- > 0;)
            if (conversation->messages.ptr[i].role == WASMGATE_ROLE_USER)
                return text_of(conversation, &conversation->messages.ptr[i]);
    }
    return (policy_string_t){};
}

policy_string_t text_of(const wasmgate_conversation_t *conversation, const wasmgate_message_t *message)
{
    return (policy_string_t){conversation->text.ptr + message->start, message->length};
}
