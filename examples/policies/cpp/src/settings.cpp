#include "settings.hpp"

#include <format>

// The operator's value, which the gateway has checked to be of the setting's type.
template <class T>
static T given_or(const setting<T> &setting) {
    const auto given = contract::get(setting.name);
    return given ? std::get<T>(*given) : setting.initial;
}

template <class T>
static contract::result<T> within_range(const setting<T> &setting, T value, const char *kind) {
    if (value >= setting.least && value <= setting.most)
        return value;
    return std::unexpected(std::format("setting {} should be {} from {} to {}, but is {}", setting.name, kind,
                                       setting.least, setting.most, value));
}

template <>
contract::result<std::int64_t> setting<std::int64_t>::read() const {
    return within_range(*this, given_or(*this), "a whole number");
}

template <>
contract::result<double> setting<double>::read() const {
    const auto given = contract::get(name);
    // An operator may write a whole number as well.
    const auto *const whole = given ? std::get_if<std::int64_t>(&*given) : nullptr;
    const double value = whole ? static_cast<double>(*whole) : given ? std::get<double>(*given) : initial;
    return within_range(*this, value, "a number");
}

template <>
contract::result<std::string> setting<std::string>::read() const {
    return given_or(*this);
}

template <>
contract::result<strings> setting<strings>::read() const {
    return given_or(*this);
}
