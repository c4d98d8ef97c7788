// The routing hook: which model answers. A policy defines the three functions.
#pragma once

#include "host.hpp"
#include "types.hpp"

namespace contract {

// A reason by its number among the manifest's, with the numbers in it. The gateway writes the sentence.
struct coded {
    std::uint32_t number;
    std::vector<double> values;
};

// Sends the request to candidates, by index, best first.
struct decision {
    std::vector<std::uint32_t> ranking;
    std::optional<double> complexity;
    std::optional<enum tier> tier;
    std::variant<std::string, coded> reason;
};

// Refuses the request.
struct denial {
    std::string code, reason;
};

// No opinion: the gateway's own default decides.
struct pass {};

using verdict = std::variant<decision, denial, pass>;

} // namespace contract

namespace routing {

// What the policy is.
contract::manifest describe();

// Prepares the instance. An error refuses the settings.
contract::result<void> configure();

// Decides a request. An error counts as a failure of the policy.
contract::result<contract::verdict> route(const contract::request &request, const contract::prompt &prompt,
                                          std::span<const contract::candidate> candidates);

} // namespace routing
