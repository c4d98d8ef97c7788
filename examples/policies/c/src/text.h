/* Texts as the contract has them: UTF-8, with a length, without a zero at the end.
 *
 * A `text` is a view of bytes that someone else owns. A `policy_string_t` of the bindings is owned by whoever holds
 * it: what a hook gets and what it returns is allocated with `malloc` and freed once.
 */
#ifndef TEXT_H
#define TEXT_H

#include "policy.h"

typedef struct text {
    const char *at;
    size_t length;
} text;

/* Zeroed memory for so many things of a size; none for no thing, as the bindings free only what is not empty. Where
 * there is no memory left the policy traps: the gateway counts a failure, and the next call gets a fresh instance. */
void *allocate(size_t count, size_t size);

/* A view of a text with a zero at its end. */
text text_of(const char *zero_ended);

/* A view of a text of the bindings. */
text text_view(policy_string_t owned);

/* The text of the newest message of the user, as a view of the prompt's; empty if there is none, or the policy reads no
 * text. */
text text_newest(const wasmgate_prompt_t *prompt);

bool text_equal(text one, text other);

/* Whether `part` is at that place. */
bool text_has_at(text whole, size_t at, text part);

/* An owned copy. */
policy_string_t text_copy(text original);

/* An owned copy in lower case, as Python's `str.lower` has it, of ASCII and of the two letters beyond it whose lower
 * case has ASCII in it: U+0130 becomes an i and the dot U+0307, U+212A (the Kelvin sign) a k. */
policy_string_t text_lower(text original);

/* Whether the part from `from` to `end` is a word by itself: no letter, digit or other number, and no underscore, is
 * right before or after it. */
bool text_stands_alone(text whole, size_t from, size_t end);

/* Appends to an owned text in the manner of `printf`. It may be empty, but a hook's `err` is not even that at first. */
[[gnu::format(printf, 2, 3)]]
void text_append(policy_string_t *owned, const char *format, ...);

/* For `text_append`: the arguments of "%.*s". */
#define TEXT_ARGS(text) (int)(text).length, (text).at

#endif
