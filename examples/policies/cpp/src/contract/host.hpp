// What the gateway offers a policy: settings and the log, and what a policy says of itself.
#pragma once

#include "types.hpp"

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

// What a setting's value means beyond its type: nothing, a range that includes both ends, names of models, names of the models
// of a tier, or names of labels, which the policy then reads too.
struct plain {};
struct range {
    double least, most;
};
struct names_models {};
struct names_labels {};
using meaning = std::variant<plain, range, names_models, tier, names_labels>;

struct setting {
    std::string name, summary;
    value initial;
    meaning means;
};

// What a policy reads of requests. What it does not read, it cannot see.
struct reads {
    enum class prompt : std::uint8_t { none, newest, conversation } prompt = prompt::none;
    std::vector<std::string> labels = {};
    bool tenant = false;
};

struct manifest {
    std::string name, version, summary;
    std::vector<setting> settings;
    struct reads reads = {};
    // Whether it can deny requests.
    bool denies = false;
    // The texts of coded reasons.
    std::vector<std::string> reasons = {};
};

// A result whose error is a sentence for the operator.
template <class T>
using result = std::expected<T, std::string>;

// The operator's value of a setting; none if the operator gave none.
std::optional<value> get(std::string_view name);

enum class level : std::uint32_t { debug, info, warn, error };

// Writes a line to the operator's log. Never write prompts to it.
void log(level level, std::string_view line);

// Facts of the request that few policies need. What they return ends with the call.

// The request's id.
std::string_view id();

// The wire dialect in which the client spoke, such as openai.
std::string_view dialect();

// The tenant's name; none for a policy that does not read tenants.
std::optional<std::string_view> tenant();

// The value of a label; none if the request has none of that name, or the policy does not read it.
std::optional<std::string_view> label(std::string_view name);

} // namespace contract
