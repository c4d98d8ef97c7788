// The types of wasmgate:policy@2.0.0, as they lie in memory. The canonical ABI lays records out as C++ does structs, so that
// what the gateway writes into this module's memory is read where it lies. wit/policy.wit says what each field means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
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

enum class role : std::uint32_t { system, user, assistant, tool };

struct message {
    enum role role;
    std::uint32_t start, length;
};

struct conversation {
    struct text text;
    list<message> messages;
};

// What the policy reads of the conversation.
struct prompt {
    enum class kind : std::uint8_t { none, newest, conversation } kind;
    union {
        text newest_text;
        struct conversation conversation;
    };

    // The text of the newest message of the user; empty if there is none, or the policy reads no text.
    std::string_view newest() const {
        if (kind == kind::newest)
            return newest_text;
        std::string_view newest;
        for (const message &message : messages())
            if (message.role == role::user)
                newest = text_of(message);
        return newest;
    }

    // The messages that a policy reads which reads the conversation, oldest first.
    std::span<const message> messages() const {
        return kind == kind::conversation ? std::span(conversation.messages) : std::span<const message>();
    }

    // The text of one of the messages.
    std::string_view text_of(const message &message) const {
        return conversation.text.view().substr(message.start, message.length);
    }
};

struct left_out {
    std::uint32_t messages;
    std::uint64_t bytes;
    std::uint32_t labels;
};

struct budget {
    std::uint64_t limit, left;
};

struct pair {
    text name, value;
};

struct request {
    // Places among models().
    option<std::uint32_t> requested, answered_before;
    bool pinned;
    std::uint32_t prompt_tokens;
    option<std::uint32_t> max_tokens;
    bool streaming, tools, images, structured_output;
    std::uint32_t messages;
    std::uint64_t text_bytes, newest_bytes;
    option<struct budget> budget;
    struct left_out left_out;
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

// A configured model.
struct model {
    text name, backend;
    enum location location;
    option<struct price> price;
    option<std::uint32_t> context_window;
    struct capabilities capabilities;
    list<pair> labels;
};

// The configured models, in the configuration's order.
std::span<const model> models();

// The cost of an estimate where a candidate has no price.
constexpr std::uint64_t unpriced = std::numeric_limits<std::uint64_t>::max();

struct cost_estimate {
    std::uint32_t input_tokens, output_tokens;
    std::uint64_t cost;
};

// A time or a rate of a candidate; none where it was not observed.
inline std::optional<double> known(double observed) {
    return observed > 0 ? std::optional(observed) : std::nullopt;
}

struct candidate {
    // Among models().
    std::uint32_t place;
    enum health health;
    enum breaker breaker;
    std::uint32_t in_flight;
    double time_left;
    // 0 where nothing was observed: known() makes them optional.
    double latency, time_to_first_token, tokens_per_second;
    // expected() is none where the gateway has no estimate.
    cost_estimate estimate;

    const struct model &model() const { return models()[place]; }

    // What the cost policy expects.
    std::optional<cost_estimate> expected() const {
        return estimate.input_tokens == std::numeric_limits<std::uint32_t>::max() ? std::nullopt : std::optional(estimate);
    }
};

// How demanding a request is.
enum class tier : std::uint8_t { low, medium, high };

// Sizes by the canonical ABI: a field that is missing above would be found here.
static_assert(sizeof(request) == 104 && sizeof(prompt) == 20 && sizeof(model) == 72 && sizeof(candidate) == 64);

} // namespace contract
