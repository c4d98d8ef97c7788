// What a call gets and returns, in memory of its own that ends with the call.
#pragma once

#include "host.hpp"
#include "types.hpp"

#include <memory_resource>
#include <new>

namespace contract {

// The memory of the call.
std::pmr::monotonic_buffer_resource &arena();

// Keeps the configured models where the gateway put them.
void set_models(const model *models, std::size_t count);

template <class T>
T *place(std::size_t count = 1) {
    return new (arena().allocate(count * sizeof(T), alignof(T))) T[count];
}

// Copies into the memory of the call.
text copy(std::string_view view);

template <class T>
list<T> copy(std::span<const T> items) {
    T *const copied = place<T>(items.size());
    std::ranges::copy(items, copied);
    return std::span<const T>(copied, items.size());
}

// A result as the gateway reads it: an error, or a value.
template <class T>
struct lowered {
    bool is_error;
    union {
        T value;
        text error;
    };
};

struct nothing {};

template <class T>
lowered<T> *refused(std::string_view error) {
    auto *const answer = place<lowered<T>>();
    answer->is_error = true;
    answer->error = copy(error);
    return answer;
}

template <class T>
lowered<T> *accepted(const T &value) {
    auto *const answer = place<lowered<T>>();
    answer->is_error = false;
    answer->value = value;
    return answer;
}

const void *described(const manifest &manifest);
const void *configured(const result<void> &given);

// More parameters than fit into registers come as a struct.
struct arguments {
    struct request request;
    struct prompt prompt;
    list<candidate> candidates;
};

} // namespace contract

// Exports a function of a hook, and one that the gateway calls when it has read the answer.
#define WASMGATE_EXPORT(NAME, FUNCTION)                                                                                \
    extern "C" [[clang::export_name("cabi_post_" NAME)]] void FUNCTION##_end(const void *) {                           \
        contract::arena().release();                                                                                     \
    }                                                                                                                  \
    extern "C" [[clang::export_name(NAME)]] const void *FUNCTION
