#include "words.hpp"

#include <algorithm>
#include <cwctype>

std::string lower_case(std::string_view text) {
    constexpr std::string_view dotted_i = "\u0130", kelvin = "\u212a";
    std::string lowered;
    lowered.reserve(text.size());
    while (!text.empty()) {
        std::size_t read = 1;
        if (text.starts_with(dotted_i)) {
            lowered += "i\u0307";
            read = dotted_i.size();
        } else if (text.starts_with(kelvin)) {
            lowered += 'k';
            read = kelvin.size();
        } else {
            const char c = text.front();
            lowered += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        text.remove_prefix(read);
    }
    return lowered;
}

// Numbers that `iswalnum` leaves out, as they are no digits: superscripts, fractions, numbers in circles. Of the scripts
// that have signs of their own for ten or a hundred, most are not here.
struct range {
    char32_t first, last;
};
static constexpr range OTHER_NUMBERS[] = {
    {0xB2, 0xB3},     {0xB9, 0xB9},     {0xBC, 0xBE},     {0x9F4, 0x9F9},   {0x1369, 0x137C},
    {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089}, {0x2150, 0x215F}, {0x2189, 0x2189},
    {0x2460, 0x249B}, {0x24EA, 0x24FF}, {0x2776, 0x2793}, {0x3192, 0x3195}, {0x3220, 0x3229},
    {0x3248, 0x324F}, {0x3251, 0x325F}, {0x3280, 0x3289}, {0x32B1, 0x32BF},
};

static bool is_word(char32_t character) {
    return character == '_' || std::iswalnum(static_cast<std::wint_t>(character)) != 0 ||
           std::ranges::any_of(OTHER_NUMBERS, [character](const range &range) {
               return character >= range.first && character <= range.last;
           });
}

// All bytes of a character but the first are from 0x80 to 0xBF.
static bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The character that a text begins with; a space for the empty text. The gateway passes valid UTF-8 only.
static char32_t first_character(std::string_view text) {
    if (text.empty())
        return ' ';
    const auto first = static_cast<unsigned char>(text[0]);
    char32_t character = first < 0x80 ? first : first < 0xE0 ? first & 0x1F : first < 0xF0 ? first & 0x0F : first & 0x07;
    for (std::size_t at = 1; at < text.size() && continues(text[at]); at++)
        character = character << 6 | (static_cast<unsigned char>(text[at]) & 0x3F);
    return character;
}

static char32_t last_character(std::string_view text) {
    std::size_t at = text.size();
    while (at > 0 && continues(text[at - 1]))
        at--;
    return first_character(text.substr(at == 0 ? 0 : at - 1));
}

bool contains_word(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + word.size()))
        if (!is_word(last_character(text.substr(0, at))) && !is_word(first_character(text.substr(at + word.size()))))
            return true;
    return false;
}
