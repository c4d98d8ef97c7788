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
    return (wasmgate_setting_t){text("%s", setting->name), text("%s", setting->summary), usual};
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

wasmgate_manifest_t manifest(const char *summary, const wasmgate_setting_t *settings, size_t count)
{
    wasmgate_manifest_t manifest = {
        .name = text("%s", NAME),
        .version = text("%s", VERSION),
        .summary = text("%s", summary),
        .settings = {allocate(count, sizeof *settings), count},
    };
    memcpy(manifest.settings.ptr, settings, count * sizeof *settings);
    return manifest;
}
