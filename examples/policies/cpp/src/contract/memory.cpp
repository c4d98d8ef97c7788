#include "memory.hpp"

#include <algorithm>
#include <cstring>

namespace contract {

namespace {

// One is the memory of the call, the other that of the configured models.
std::pmr::monotonic_buffer_resource arenas[2];
std::size_t of_the_call;

std::span<const model> configured_models;

} // namespace

std::pmr::monotonic_buffer_resource &arena() { return arenas[of_the_call]; }

std::span<const model> models() { return configured_models; }

void set_models(const model *models, std::size_t count) {
    configured_models = {models, count};
    of_the_call = 1 - of_the_call;
    arena().release();
}

text copy(std::string_view view) { return std::string_view(copy<char>(std::span(view)).data, view.size()); }

namespace {

struct lowered_value {
    std::uint8_t tag;
    union {
        bool boolean;
        std::int64_t integer;
        double number;
        struct text text;
        list<struct text> texts;
    };
};

struct lowered_meaning {
    std::uint8_t tag;
    union {
        struct range range;
        enum tier tier;
    };
};

struct lowered_setting {
    text name, summary;
    lowered_value initial;
    lowered_meaning means;
};

struct lowered_reads {
    enum reads::prompt prompt;
    list<text> labels;
    bool tenant;
};

struct lowered_manifest {
    text name, version, summary;
    list<lowered_setting> settings;
    lowered_reads reads;
    bool denies;
    list<text> reasons;
};

static_assert(sizeof(lowered_setting) == 56 && sizeof(lowered_manifest) == 60);

list<text> copy(const std::vector<std::string> &texts) {
    text *const copied = place<text>(texts.size());
    std::ranges::transform(texts, copied, [](const std::string &each) { return contract::copy(each); });
    return std::span<const text>(copied, texts.size());
}

lowered_value lower(const value &given) {
    lowered_value lowered{};
    lowered.tag = static_cast<std::uint8_t>(given.index());
    if (auto *boolean = std::get_if<bool>(&given))
        lowered.boolean = *boolean;
    else if (auto *integer = std::get_if<std::int64_t>(&given))
        lowered.integer = *integer;
    else if (auto *number = std::get_if<double>(&given))
        lowered.number = *number;
    else if (auto *text = std::get_if<std::string>(&given))
        lowered.text = contract::copy(*text);
    else
        lowered.texts = copy(std::get<std::vector<std::string>>(given));
    return lowered;
}

lowered_meaning lower(const meaning &given) {
    lowered_meaning lowered{};
    lowered.tag = static_cast<std::uint8_t>(given.index());
    if (auto *range = std::get_if<struct range>(&given))
        lowered.range = *range;
    else if (auto *tier = std::get_if<enum tier>(&given))
        lowered.tier = *tier;
    return lowered;
}

value lift(const lowered_value &given) {
    switch (given.tag) {
    case 0:
        return given.boolean;
    case 1:
        return given.integer;
    case 2:
        return given.number;
    case 3:
        return std::string(given.text.view());
    default: {
        std::vector<std::string> texts;
        for (const text &each : given.texts)
            texts.emplace_back(each.view());
        return texts;
    }
    }
}

extern "C" {
[[clang::import_module("wasmgate:policy/settings@2.0.0"), clang::import_name("get")]]
void wasmgate_settings_get(const char *name, std::size_t size, option<lowered_value> *answer);

[[clang::import_module("wasmgate:policy/log@2.0.0"), clang::import_name("write")]]
void wasmgate_log_write(level level, const char *line, std::size_t size);

[[clang::import_module("wasmgate:policy/request-facts@2.0.0"), clang::import_name("id")]]
void wasmgate_facts_id(text *answer);

[[clang::import_module("wasmgate:policy/request-facts@2.0.0"), clang::import_name("dialect")]]
void wasmgate_facts_dialect(text *answer);

[[clang::import_module("wasmgate:policy/request-facts@2.0.0"), clang::import_name("tenant")]]
void wasmgate_facts_tenant(option<text> *answer);

[[clang::import_module("wasmgate:policy/request-facts@2.0.0"), clang::import_name("label")]]
void wasmgate_facts_label(const char *name, std::size_t size, option<text> *answer);
}

std::optional<std::string_view> view(const option<text> &given) {
    return given ? std::optional(given->view()) : std::nullopt;
}

} // namespace

std::optional<value> get(std::string_view name) {
    option<lowered_value> answer{};
    wasmgate_settings_get(name.data(), name.size(), &answer);
    return answer ? std::optional(lift(*answer)) : std::nullopt;
}

void log(level level, std::string_view line) { wasmgate_log_write(level, line.data(), line.size()); }

std::string_view id() {
    text answer;
    wasmgate_facts_id(&answer);
    return answer;
}

std::string_view dialect() {
    text answer;
    wasmgate_facts_dialect(&answer);
    return answer;
}

std::optional<std::string_view> tenant() {
    option<text> answer;
    wasmgate_facts_tenant(&answer);
    return view(answer);
}

std::optional<std::string_view> label(std::string_view name) {
    option<text> answer;
    wasmgate_facts_label(name.data(), name.size(), &answer);
    return view(answer);
}

const void *described(const manifest &manifest) {
    auto *const settings = place<lowered_setting>(manifest.settings.size());
    std::ranges::transform(manifest.settings, settings, [](const setting &setting) {
        return lowered_setting{copy(setting.name), copy(setting.summary), lower(setting.initial), lower(setting.means)};
    });
    auto *const lowered = place<lowered_manifest>();
    *lowered = {copy(manifest.name),
                copy(manifest.version),
                copy(manifest.summary),
                std::span<const lowered_setting>(settings, manifest.settings.size()),
                {manifest.reads.prompt, copy(manifest.reads.labels), manifest.reads.tenant},
                manifest.denies,
                copy(manifest.reasons)};
    return lowered;
}

const void *configured(const result<void> &given) {
    return given ? accepted(nothing{}) : refused<nothing>(given.error());
}

} // namespace contract

// Where the gateway puts what it passes.
extern "C" [[clang::export_name("cabi_realloc")]] void *cabi_realloc(const void *old, std::size_t old_size,
                                                                     std::size_t alignment, std::size_t size) {
    void *const allocated = contract::arena().allocate(std::max<std::size_t>(size, 1), alignment);
    return std::memcpy(allocated, old, std::min(old_size, size));
}
