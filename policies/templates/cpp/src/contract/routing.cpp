#include "routing.hpp"
#include "memory.hpp"

using namespace contract;

namespace {

struct lowered_reason {
    std::uint8_t tag;
    union {
        struct text text;
        struct {
            std::uint32_t number;
            list<double> values;
        } code;
    };
};

struct lowered_decision {
    list<std::uint32_t> ranking;
    option<double> complexity;
    option<tier> tier;
    lowered_reason reason;
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

static_assert(sizeof(lowered_verdict) == 56);

lowered_reason lower(const std::variant<std::string, coded> &given) {
    lowered_reason lowered{};
    lowered.tag = static_cast<std::uint8_t>(given.index());
    if (auto *coded = std::get_if<struct coded>(&given))
        lowered.code = {coded->number, copy<double>(coded->values)};
    else
        lowered.text = copy(std::get<std::string>(given));
    return lowered;
}

lowered_verdict lower(const verdict &given) {
    lowered_verdict lowered;
    lowered.tag = static_cast<std::uint8_t>(given.index());
    if (auto *decision = std::get_if<struct decision>(&given))
        lowered.route = {copy<std::uint32_t>(decision->ranking), decision->complexity, decision->tier,
                         lower(decision->reason)};
    else if (auto *denial = std::get_if<struct denial>(&given))
        lowered.deny = {copy(denial->code), copy(denial->reason)};
    return lowered;
}

} // namespace

WASMGATE_EXPORT("wasmgate:policy/routing@2.0.0#describe", describe_routing)() { return described(routing::describe()); }

WASMGATE_EXPORT("wasmgate:policy/routing@2.0.0#configure", configure_routing)() {
    return configured(routing::configure());
}

extern "C" [[clang::export_name("wasmgate:policy/routing@2.0.0#set-models")]] void set_models_routing(const model *models,
                                                                                                      std::size_t count) {
    set_models(models, count);
}

WASMGATE_EXPORT("wasmgate:policy/routing@2.0.0#route", route)(const arguments *given) {
    const auto verdict = routing::route(given->request, given->prompt, given->candidates);
    return verdict ? accepted(lower(*verdict)) : refused<lowered_verdict>(verdict.error());
}
