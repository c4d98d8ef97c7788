// Settings: what one is called, what it means, what it may be and its default, in one place.
#pragma once

#include "contract/host.hpp"

// What the policy says of itself. Both hooks give the same name and version.
inline contract::manifest manifest(std::string summary, contract::reads reads, std::vector<contract::setting> settings) {
    return {"complexity-cpp", "1.0.0", std::move(summary), std::move(settings), std::move(reads)};
}

using strings = std::vector<std::string>;

// A setting of one of the types of contract::value. A number has a range.
template <class T>
struct setting {
    std::string name, summary;
    T initial;
    T least{}, most{};
    // What a text means, or a list of texts.
    contract::meaning means{};

    // Its line in the manifest.
    contract::setting entry() const {
        if constexpr (std::is_arithmetic_v<T>)
            return {name, summary, initial, contract::range(static_cast<double>(least), static_cast<double>(most))};
        else
            return {name, summary, initial, means};
    }

    // The operator's value or the default.
    contract::result<T> read() const;
};

template <>
contract::result<std::int64_t> setting<std::int64_t>::read() const;
template <>
contract::result<double> setting<double>::read() const;
template <>
contract::result<std::string> setting<std::string>::read() const;
template <>
contract::result<strings> setting<strings>::read() const;
