// The routing hook: which model answers.
#include "contract/routing.hpp"
#include "policy.hpp"

#include <array>
#include <format>

using contract::candidate, contract::location, contract::tier;

constexpr whole_number CLOUD_FROM = {
    .name = "cloud-from",
    .summary = "Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
    .least = 1,
    .most = 1'000'000,
    .initial = 200,
};

// What `configure` prepares is there in every call.
static std::uint32_t cloud_from;

contract::manifest routing::describe() {
    // To look at texts: newest (the user's newest message) or conversation.
    const contract::reads reads = {.prompt = contract::reads::prompt::none};
    return manifest("Short prompts stay local, long ones go to the cloud.", reads, {CLOUD_FROM.entry()});
}

contract::result<void> routing::configure() {
    return CLOUD_FROM.read().transform([](auto tokens) { cloud_from = tokens; });
}

static bool is_out(const candidate &candidate) {
    return candidate.health == contract::health::down || candidate.breaker == contract::breaker::open;
}

// The candidates by index, best first: those that answer before those that do not, and among them those of the preferred
// location before the others.
static std::vector<std::uint32_t> rank(std::span<const candidate> candidates, location preferred) {
    std::array<std::vector<std::uint32_t>, 4> groups;
    for (std::uint32_t index = 0; index < candidates.size(); index++) {
        const candidate &candidate = candidates[index];
        groups[2 * is_out(candidate) + (candidate.model().location != preferred)].push_back(index);
    }
    std::vector<std::uint32_t> ranking;
    for (const auto &group : groups)
        ranking.insert(ranking.end(), group.begin(), group.end());
    return ranking;
}

contract::result<contract::verdict> routing::route(const contract::request &request, const contract::prompt &,
                                                   std::span<const candidate> candidates) {
    const bool is_long = request.prompt_tokens >= cloud_from;
    return contract::decision{
        .ranking = rank(candidates, is_long ? location::cloud : location::local),
        .complexity = std::nullopt,
        .tier = is_long ? tier::high : tier::low,
        .reason = std::format("{} tokens: {} models first", request.prompt_tokens, is_long ? "cloud" : "local"),
    };
}
