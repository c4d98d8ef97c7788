#include "routing.hpp"
#include "memory.hpp"

using namespace contract;

namespace {

struct lowered_decision {
    list<std::uint32_t> ranking;
    option<double> complexity;
    option<tier> tier;
    text reason;
};

struct lowered_denial {
    text code, reason;
};

struct lowered_verdict {
    std::uint8_t tag;
    union {
        lowered_decision route;
        lowered_denial deny;
    };
};

static_assert(sizeof(lowered_verdict) == 48);

lowered_verdict lower(const verdict &given) {
    lowered_verdict lowered;
    lowered.tag = static_cast<std::uint8_t>(given.index());
    if (auto *decision = std::get_if<struct decision>(&given))
        lowered.route = {copy<std::uint32_t>(decision->ranking), decision->complexity, decision->tier,
                         copy(decision->reason)};
    else if (auto *denial = std::get_if<struct denial>(&given))
        lowered.deny = {copy(denial->code), copy(denial->reason)};
    return lowered;
}

} // namespace

WASMGATE_EXPORT("wasmgate:policy/routing@1.0.0#describe", describe_routing)() { return described(routing::describe()); }

WASMGATE_EXPORT("wasmgate:policy/routing@1.0.0#configure", configure_routing)() {
    return configured(routing::configure());
}

WASMGATE_EXPORT("wasmgate:policy/routing@1.0.0#route", route)(const arguments *given) {
    const auto verdict = routing::route(given->request, given->candidates);
    return verdict ? accepted(lower(*verdict)) : refused<lowered_verdict>(verdict.error());
}
