// How demanding a text is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

// In lower case, each once.
struct keywords {
    std::vector<std::string> complex, simple;
};

// A sum of shares from 0 to 1, and what it consists of.
struct score {
    double value, length, keywords, code, form;
    // What the keywords are: complex, simple or no.
    const char *kind;
    // The complex ones that occur, in the order of the setting.
    std::vector<std::string_view> found;
};

score judge(std::string_view text, const keywords &keywords);
