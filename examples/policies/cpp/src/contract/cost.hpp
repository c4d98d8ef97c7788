// The cost hook: what a request costs on each candidate. A policy defines the three functions.
#pragma once

#include "host.hpp"
#include "types.hpp"

namespace cost {

// What the policy is.
contract::manifest describe();

// Prepares the instance. An error refuses the settings.
contract::result<void> configure();

// An estimate for each candidate, in their order. An error counts as a failure of the policy.
contract::result<std::vector<contract::cost_estimate>> estimate(const contract::request &request,
                                                                const contract::prompt &prompt,
                                                                std::span<const contract::candidate> candidates);

} // namespace cost
