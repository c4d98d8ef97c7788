//! The routing hook: small models for simple prompts, the most capable one for design and code.

const std = @import("std");
const contract = @import("contract.zig");
const ranking = @import("ranking.zig");
const settings = @import("settings.zig");
const Score = @import("score.zig").Score;
const Scorer = @import("score.zig").Scorer;
const Allocator = std.mem.Allocator;

const low_below: settings.Number = .{
    .name = "low-below",
    .summary = "Scores below this, from 0 to 1, are low.",
    .least = 0,
    .most = 1,
    .usual = 0.3,
};
const high_above: settings.Number = .{
    .name = "high-above",
    .summary = "Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
    .least = 0,
    .most = 1,
    .usual = 0.6,
};
const low_models: settings.Texts = .{
    .name = "low-models",
    .summary = "Models for low scores, the first choice first. Low, medium and high models in a row go from the " ++
        "least to the most capable: fallbacks go up that row first, then down.",
    .meaning = .ofTier(.low),
    .usual = &.{"tinyllama"},
};
const medium_models: settings.Texts = .{
    .name = "medium-models",
    .summary = "Models for medium scores, the first choice first.",
    .meaning = .ofTier(.medium),
    .usual = &.{"phi2"},
};
const high_models: settings.Texts = .{
    .name = "high-models",
    .summary = "Models for high scores, the first choice first.",
    .meaning = .ofTier(.high),
    .usual = &.{"claude-sonnet"},
};
const complex_keywords: settings.Texts = .{
    .name = "complex-keywords",
    .summary = "Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
    .usual = &.{
        "analyze",           "design",        "architect",  "implement",       "refactor", "optimize", "debug",
        "explain in detail", "comprehensive", "write code", "create function", "build",    "develop",
    },
};
const simple_keywords: settings.Texts = .{
    .name = "simple-keywords",
    .summary = "Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
    .usual = &.{
        "summarize", "list",       "what is", "define",        "yes or no",
        "classify",  "categorize", "is this", "true or false",
    },
};
const confidential_label: settings.Text = .{
    .name = "confidential-label",
    .summary = "The label that is `true` on requests that only local models may see.",
    .meaning = .labels,
    .usual = "x-confidential",
};

/// The shortest keyword, in bytes: one of a single byte would be found nearly everywhere.
const shortest_keyword = 2;
/// How many of the complex keywords that were found the reason names.
const named_keywords = 5;

/// What `configure` prepared.
var policy: struct {
    scorer: Scorer,
    low_below: f64,
    high_above: f64,
    models: ranking.Models,
    confidential_label: []const u8,
} = undefined;

pub fn describe(call: Allocator) Allocator.Error!contract.Manifest {
    const summary = "Small models for simple prompts, the most capable one for design and code.";
    var manifest = try settings.manifest(call, summary, .{ .prompt = .newest }, &.{
        low_below.entry(),
        high_above.entry(),
        low_models.entry(),
        medium_models.entry(),
        high_models.entry(),
        complex_keywords.entry(),
        simple_keywords.entry(),
        confidential_label.entry(),
    });
    manifest.denies = true;
    return manifest;
}

pub fn configure(keep: Allocator) contract.Error!void {
    policy.low_below = try low_below.read();
    policy.high_above = try high_above.read();
    if (policy.low_below > policy.high_above) return contract.refuse(
        "setting {s} should be at most {s} ({d}), but is {d}",
        .{ low_below.name, high_above.name, policy.high_above, policy.low_below },
    );
    policy.models = try readModels(keep);
    const complex = try readKeywords(complex_keywords, keep);
    policy.scorer = try .init(keep, complex, try readKeywords(simple_keywords, keep));
    policy.confidential_label = try confidential_label.read(keep);
}

fn readModels(keep: Allocator) contract.Error!ranking.Models {
    const low = try low_models.read(keep);
    const medium = try medium_models.read(keep);
    const high = try high_models.read(keep);
    const row = try std.mem.concat(keep, []const u8, &.{ low, medium, high });
    if (row.len == 0) return contract.refuse(
        "setting {s} should name at least one model, as no tier has one",
        .{high_models.name},
    );
    for (row, 0..) |model, place| {
        for (row[0..place]) |other| {
            if (std.mem.eql(u8, model, other)) return contract.refuse(
                "settings {s}, {s} and {s} should name each model once, but name \"{s}\" twice",
                .{ low_models.name, medium_models.name, high_models.name, model },
            );
        }
    }
    return .{ .row = row, .begins = .init(.{ .low = 0, .medium = low.len, .high = low.len + medium.len }) };
}

fn readKeywords(setting: settings.Texts, keep: Allocator) contract.Error![]const []const u8 {
    const keywords = try setting.read(keep);
    for (keywords) |keyword| {
        if (keyword.len < shortest_keyword) return contract.refuse(
            "setting {s} should have keywords of two letters or more, but has \"{s}\"",
            .{ setting.name, keyword },
        );
    }
    return keywords;
}

pub fn route(
    call: Allocator,
    request: *const contract.Request,
    prompt: *const contract.Prompt,
    candidates: []const contract.Candidate,
) contract.Error!contract.Verdict {
    if (request.requested.get() != null) {
        return .{ .tag = .pass, .payload = .{ .pass = {} } };
    }
    const score = try policy.scorer.score(call, prompt.newest());
    const tier: contract.Tier =
        if (score.value < policy.low_below) .low else if (score.value > policy.high_above) .high else .medium;
    const confidential = std.mem.eql(u8, contract.label(policy.confidential_label) orelse "", "true");
    const wanted = try policy.models.order(call, candidates, tier, confidential);
    if (wanted.len == 0) return .{ .tag = .deny, .payload = .{ .deny = .{
        .code = .of("no_local_model"),
        .reason = .of("the request is confidential and no local model is offered"),
    } } };

    const ranked = try ranking.ableFirst(call, request, candidates, wanted);
    var reason = try reasonOf(call, score);
    if (ranked[0] != wanted[0]) {
        const passed_over = &candidates[wanted[0]];
        const why = ranking.obstacle(request, passed_over).?;
        try reason.print(call, "; {s} would be first but {s}", .{ passed_over.model().name.items(), why });
    }
    if (confidential) try reason.appendSlice(call, "; confidential");
    return .{ .tag = .route, .payload = .{ .route = .{
        .ranking = .of(ranked),
        .complexity = .of(score.value),
        .tier = .of(tier),
        .reason = .of(reason.items),
    } } };
}

/// What the score is made of. The keywords in it are the operator's; nothing of the prompt is.
fn reasonOf(call: Allocator, score: Score) Allocator.Error!std.ArrayList(u8) {
    var reason: std.ArrayList(u8) = .empty;
    const hundredths: u32 = @intFromFloat(score.value * 100 + 0.5);
    try reason.print(call, "score {d}.{d:0>2}", .{ hundredths / 100, hundredths % 100 });
    try appendShare(&reason, call, ": length", score.length);
    const found = if (score.complex.len > 0) "complex" else if (score.simple) "simple" else "no";
    try appendShare(&reason, call, try call.print(", {s} keywords", .{found}), score.keywords);
    if (score.complex.len > 0) {
        const named = score.complex[0..@min(score.complex.len, named_keywords)];
        const more = if (score.complex.len > named_keywords) ", …" else "";
        try reason.print(call, " ({s}{s})", .{ try std.mem.join(call, ", ", named), more });
    }
    if (score.code != 0) try appendShare(&reason, call, ", code", score.code);
    if (score.form != 0) try appendShare(&reason, call, if (score.form < 0) ", question" else ", creation", score.form);
    return reason;
}

fn appendShare(reason: *std.ArrayList(u8), call: Allocator, of: []const u8, share: f64) Allocator.Error!void {
    const sign: u8 = if (share < 0) '-' else '+';
    try reason.print(call, "{s} {c}{d:.1}", .{ of, sign, @abs(share) });
}
