#include "cost.hpp"
#include "memory.hpp"

using namespace contract;

WASMGATE_EXPORT("wasmgate:policy/cost@2.0.0#describe", describe_cost)() { return described(cost::describe()); }

WASMGATE_EXPORT("wasmgate:policy/cost@2.0.0#configure", configure_cost)() { return configured(cost::configure()); }

extern "C" [[clang::export_name("wasmgate:policy/cost@2.0.0#set-models")]] void set_models_cost(const model *models,
                                                                                                std::size_t count) {
    set_models(models, count);
}

WASMGATE_EXPORT("wasmgate:policy/cost@2.0.0#estimate", estimate)(const arguments *given) {
    using estimates = list<cost_estimate>;
    const auto estimated = cost::estimate(given->request, given->prompt, given->candidates);
    return estimated ? accepted(copy<cost_estimate>(*estimated)) : refused<estimates>(estimated.error());
}
