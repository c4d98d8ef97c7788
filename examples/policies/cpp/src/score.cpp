#include "score.hpp"
#include "words.hpp"

#include <algorithm>
#include <iterator>

static double length_share(std::string_view text) {
    // Unicode scalar values: all bytes but those that continue one.
    const auto length = std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; });
    return length < 100 ? 0.1 : length < 500 ? 0.3 : 0.5;
}

// How many of the seven marks of code there are: brackets, backticks and five words.
static int marks_of_code(std::string_view text) {
    constexpr std::string_view words[] = {"def", "class", "function", "import", "from"};
    return (text.find_first_of("{}[]();") != text.npos) + text.contains("```") +
           static_cast<int>(std::ranges::count_if(words, [text](auto word) { return contains_word(text, word); }));
}

score judge(std::string_view text, const keywords &keywords) {
    const std::string lower = lower_case(text);
    const auto occurs = [&lower](std::string_view keyword) { return lower.contains(keyword); };

    score score{.value = 0, .length = length_share(text), .keywords = 0.1, .code = 0, .form = 0, .kind = "no", .found = {}};
    std::ranges::copy_if(keywords.complex, std::back_inserter(score.found), occurs);
    if (!score.found.empty()) {
        score.kind = "complex";
        score.keywords = std::min(static_cast<double>(score.found.size()) * 0.1, 0.3);
    } else if (std::ranges::any_of(keywords.simple, occurs)) {
        score.kind = "simple";
        score.keywords = -0.1;
    }
    if (marks_of_code(text) >= 2)
        score.code = 0.3;
    const auto questions = std::ranges::count(text, '?');
    if (questions == 1 || questions == 2)
        score.form = -0.1;
    else if (occurs("create") || occurs("build"))
        score.form = 0.2;
    // A sum of doubles in this order: on every machine it is the same to the last bit.
    score.value = std::clamp(score.length + score.keywords + score.code + score.form, 0.0, 1.0);
    return score;
}
