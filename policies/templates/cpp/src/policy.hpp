// What both hooks need: settings, and the policy's name and version.
#pragma once

#include "contract/host.hpp"

#include <format>

// What the policy says of itself. Both hooks give the same name and version.
inline contract::manifest manifest(std::string summary, contract::reads reads, std::vector<contract::setting> settings) {
    return {"{{name}}", "1.0.0", std::move(summary), std::move(settings), std::move(reads)};
}

// A setting in one place: its name, meaning, range and default.
struct whole_number {
    const char *name, *summary;
    std::uint32_t least, most, initial;

    // Its line in the manifest.
    contract::setting entry() const { return {name, summary, std::int64_t{initial}, contract::range(least, most)}; }

    // The operator's value or the default.
    contract::result<std::uint32_t> read() const {
        const auto given = contract::get(name);
        // The gateway has checked that it is a whole number.
        const std::int64_t value = given ? std::get<std::int64_t>(*given) : initial;
        if (value >= least && value <= most)
            return static_cast<std::uint32_t>(value);
        return std::unexpected(
            std::format("setting {} should be a whole number from {} to {}, but is {}", name, least, most, value));
    }
};
