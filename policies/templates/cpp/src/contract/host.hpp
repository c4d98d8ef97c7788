// What the gateway offers a policy: settings and the log, and what a policy says of itself.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace contract {

// A setting's value. Where a number is expected, an operator may write a whole one.
using value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct setting {
    std::string name, summary;
    value initial;
};

struct manifest {
    std::string name, version, summary;
    std::vector<setting> settings;
};

// A result whose error is a sentence for the operator.
template <class T>
using result = std::expected<T, std::string>;

// The operator's value of a setting; none if the operator gave none.
std::optional<value> get(std::string_view name);

enum class level : std::uint32_t { debug, info, warn, error };

// Writes a line to the operator's log. Never write prompts to it.
void log(level level, std::string_view line);

} // namespace contract
