#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

/* What is before the first character of a text and after its last: part of no word. */
constexpr uint32_t EDGE = ' ';

void *allocate(size_t count, size_t size)
{
    void *memory = count ? calloc(count, size) : nullptr;
    if (count && !memory)
        abort();
    return memory;
}

text text_of(const char *zero_ended)
{
    return (text){zero_ended, strlen(zero_ended)};
}

text text_view(policy_string_t owned)
{
    return (text){(const char *)owned.ptr, owned.len};
}

text text_newest(const wasmgate_prompt_t *prompt)
{
    if (prompt->tag == WASMGATE_PROMPT_NEWEST)
        return text_view(prompt->val.newest);
    if (prompt->tag == WASMGATE_PROMPT_CONVERSATION) {
        const wasmgate_conversation_t *conversation = &prompt->val.conversation;
        for (size_t i = conversation->messages.len; i-- > 0;) {
            const wasmgate_message_t *message = &conversation->messages.ptr[i];
            if (message->role == WASMGATE_ROLE_USER)
                return (text){(const char *)conversation->text.ptr + message->start, message->length};
        }
    }
    return text_of("");
}

bool text_equal(text one, text other)
{
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

bool text_has_at(text whole, size_t at, text part)
{
    return part.length <= whole.length - at && memcmp(whole.at + at, part.at, part.length) == 0;
}

policy_string_t text_copy(text original)
{
    policy_string_t copy = {allocate(original.length, 1), original.length};
    memcpy(copy.ptr, original.at, original.length);
    return copy;
}

policy_string_t text_lower(text original)
{
    const text dotted_i = text_of("\u0130"), kelvin = text_of("\u212A"), i_and_dot = text_of("i\u0307");
    /* Two bytes may become three. */
    policy_string_t lower = {allocate(original.length + original.length / 2, 1), 0};
    for (size_t at = 0; at < original.length;) {
        const char byte = original.at[at];
        if (byte == dotted_i.at[0] && text_has_at(original, at, dotted_i)) {
            memcpy(lower.ptr + lower.len, i_and_dot.at, i_and_dot.length);
            lower.len += i_and_dot.length;
            at += dotted_i.length;
        } else if (byte == kelvin.at[0] && text_has_at(original, at, kelvin)) {
            lower.ptr[lower.len++] = 'k';
            at += kelvin.length;
        } else {
            lower.ptr[lower.len++] = (uint8_t)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
            at++;
        }
    }
    return lower;
}

static bool continues_character(char byte)
{
    return ((uint8_t)byte & 0xC0) == 0x80;
}

/* The character that begins at a place. The gateway passes valid UTF-8 only. */
static uint32_t character_at(text whole, size_t at)
{
    if (at == whole.length)
        return EDGE;
    const uint8_t first = (uint8_t)whole.at[at];
    if (first < 0x80)
        return first;
    /* The first byte has as many ones at its top as the character has bytes. */
    uint32_t character = first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07);
    while (++at < whole.length && continues_character(whole.at[at]))
        character = character << 6 | ((uint8_t)whole.at[at] & 0x3F);
    return character;
}

static uint32_t character_before(text whole, size_t at)
{
    if (at == 0)
        return EDGE;
    do
        at--;
    while (at > 0 && continues_character(whole.at[at]));
    return character_at(whole, at);
}

/* Numbers that `iswalnum` leaves out, as they are no digits: superscripts, fractions, numbers in circles. Of the
 * scripts that have signs of their own for ten or a hundred, most are not here. */
static bool is_other_number(uint32_t character)
{
    static const struct { uint32_t first, last; } ranges[] = {
        {0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}, {0x9F4, 0x9F9}, {0x1369, 0x137C}, {0x2070, 0x2070},
        {0x2074, 0x2079}, {0x2080, 0x2089}, {0x2150, 0x215F}, {0x2189, 0x2189}, {0x2460, 0x249B}, {0x24EA, 0x24FF},
        {0x2776, 0x2793}, {0x3192, 0x3195}, {0x3220, 0x3229}, {0x3248, 0x324F}, {0x3251, 0x325F}, {0x3280, 0x3289},
        {0x32B1, 0x32BF},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

static bool is_word(uint32_t character)
{
    return character == '_' || iswalnum(character) || is_other_number(character);
}

bool text_stands_alone(text whole, size_t from, size_t end)
{
    return !is_word(character_before(whole, from)) && !is_word(character_at(whole, end));
}

void text_append(policy_string_t *owned, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int more = vsnprintf(nullptr, 0, format, arguments);
    /* `vsnprintf` ends what it writes with a zero. */
    uint8_t *longer = more < 0 ? nullptr : realloc(owned->ptr, owned->len + (size_t)more + 1);
    if (!longer)
        abort();
    vsnprintf((char *)longer + owned->len, (size_t)more + 1, format, again);
    *owned = (policy_string_t){longer, owned->len + (size_t)more};
    va_end(again);
    va_end(arguments);
}
