// Lower case, and where words begin and end.
#pragma once

#include <string>
#include <string_view>

// The text in lower case, of ASCII and of the two letters beyond it whose lower case has ASCII in it.
std::string lower_case(std::string_view text);

// Whether a word occurs by itself: no letter, digit or other number of any script, and no underscore is right before or
// after it.
bool contains_word(std::string_view text, std::string_view word);
