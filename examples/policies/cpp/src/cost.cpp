// The cost hook: what a request costs on each candidate.
#include "contract/cost.hpp"
#include "settings.hpp"

#include <algorithm>
#include <limits>

using contract::candidate, contract::cost_estimate;

static const setting<std::int64_t> EXPECTED_OUTPUT_TOKENS = {
    .name = "expected-output-tokens",
    .summary = "Output tokens to expect of a request, 0 to 10,000,000; fewer where the client's limit is lower.",
    .initial = 500,
    .least = 0,
    .most = 10'000'000,
};

// The number of tokens that prices are for.
constexpr unsigned PRICED_TOKENS = 1'000'000;

static std::uint32_t expected_output_tokens;

contract::manifest cost::describe() {
    const contract::reads reads = {.prompt = contract::reads::prompt::none};
    return manifest("Prompt tokens at the input price and the expected answer at the output price.", reads,
                    {EXPECTED_OUTPUT_TOKENS.entry()});
}

contract::result<void> cost::configure() {
    return EXPECTED_OUTPUT_TOKENS.read().transform([](auto tokens) { expected_output_tokens = static_cast<std::uint32_t>(tokens); });
}

// In nano-dollars, halves rounded up. What 64 bits cannot hold is not known either.
static std::uint64_t cost_of(const contract::price &price, std::uint32_t input, std::uint32_t output) {
    // A product of 32 and 64 bits has at most 96, so that the sum cannot overflow.
    using wide = unsigned __int128;
    const wide cost = (wide{input} * price.input + wide{output} * price.output + PRICED_TOKENS / 2) / PRICED_TOKENS;
    return static_cast<std::uint64_t>(std::min<wide>(cost, std::numeric_limits<std::uint64_t>::max()));
}

contract::result<std::vector<cost_estimate>> cost::estimate(const contract::request &request,
                                                            const contract::prompt &,
                                                            std::span<const candidate> candidates) {
    const std::uint32_t input = request.prompt_tokens;
    const std::uint32_t output =
        std::min(expected_output_tokens, request.max_tokens ? *request.max_tokens : expected_output_tokens);
    std::vector<cost_estimate> estimates;
    for (const candidate &candidate : candidates) {
        const auto &price = candidate.model().price;
        estimates.push_back({input, output, price ? cost_of(*price, input, output) : contract::unpriced});
    }
    return estimates;
}
