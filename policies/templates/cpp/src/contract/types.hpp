// The types of wasmgate:policy@1.0.0, as they lie in memory. The canonical ABI lays records out as C++ does structs, so that
// what the gateway writes into this module's memory is read where it lies. wit/policy.wit says what each field means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace contract {

// A list of the contract: a view of memory that ends with the call.
template <class T>
struct list {
    const T *data;
    std::size_t size;

    list() = default;
    list(std::span<const T> items) : data(items.data()), size(items.size()) {}

    operator std::span<const T>() const { return {data, size}; }
    const T *begin() const { return data; }
    const T *end() const { return data + size; }
};

// UTF-8.
struct text {
    const char *data;
    std::size_t size;

    text() = default;
    text(std::string_view view) : data(view.data()), size(view.size()) {}

    operator std::string_view() const { return {data, size}; }
    std::string_view view() const { return {data, size}; }
};

// An optional value of the contract.
template <class T>
struct option {
    bool is_some;
    T value;

    option() = default;
    option(const std::optional<T> &given) : is_some(given.has_value()), value(given.value_or(T{})) {}

    operator std::optional<T>() const { return is_some ? std::optional<T>(value) : std::nullopt; }
    explicit operator bool() const { return is_some; }
    const T &operator*() const { return value; }
    const T *operator->() const { return &value; }
};

enum class dialect : std::uint8_t { native, openai, anthropic, ollama };
enum class role : std::uint8_t { system, user, assistant, tool };

struct message {
    enum role role;
    struct text text;
};

struct budget {
    std::uint64_t limit, left;
};

struct pair {
    text name, value;
};

struct request {
    text id;
    enum dialect dialect;
    text requested_model;
    list<message> messages;
    std::uint32_t prompt_tokens;
    option<std::uint32_t> max_tokens;
    bool streaming, tools, images;
    option<text> tenant;
    option<struct budget> budget;
    list<pair> labels, hints;
};

enum class location : std::uint8_t { local, cloud };
enum class health : std::uint8_t { unknown, healthy, degraded, down };
enum class breaker : std::uint8_t { closed, half_open, open };

struct capabilities {
    bool tools : 1, images : 1, structured_output : 1;
};

struct price {
    std::uint64_t input, output;
};

struct observed {
    double latency;
    option<double> time_to_first_token, tokens_per_second;
};

struct cost_estimate {
    std::uint32_t input_tokens, output_tokens;
    option<std::uint64_t> cost;
};

struct candidate {
    text model, backend;
    enum location location;
    option<struct price> price;
    option<std::uint32_t> context_window;
    struct capabilities capabilities;
    enum health health;
    enum breaker breaker;
    std::uint32_t in_flight;
    option<struct observed> observed;
    option<cost_estimate> estimate;
};

// Sizes by the canonical ABI: a field that is missing above would be found here.
static_assert(sizeof(request) == 96 && sizeof(candidate) == 144 && sizeof(cost_estimate) == 24);

} // namespace contract
