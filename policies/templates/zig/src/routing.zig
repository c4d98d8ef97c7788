//! The routing hook: which model answers.

const std = @import("std");
const contract = @import("contract.zig");
const settings = @import("settings.zig");
const Allocator = std.mem.Allocator;

const cloud_from: settings.Integer = .{
    .name = "cloud-from",
    .summary = "Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
    .least = 1,
    .most = 1_000_000,
    .usual = 200,
};

/// What `configure` prepares is there in every call.
var from_tokens: u32 = undefined;

pub fn describe(call: Allocator) Allocator.Error!contract.Manifest {
    const summary = "Short prompts stay local, long ones go to the cloud.";
    // To look at texts: .newest (the user's newest message) or .conversation; the hook's prompt has them.
    return settings.manifest(call, summary, .{ .prompt = .none }, &.{cloud_from.entry()});
}

pub fn configure(_: Allocator) contract.Error!void {
    from_tokens = try cloud_from.read();
}

pub fn route(
    call: Allocator,
    request: *const contract.Request,
    _: *const contract.Prompt,
    candidates: []const contract.Candidate,
) contract.Error!contract.Verdict {
    const preferred: contract.Location = if (request.prompt_tokens >= from_tokens) .cloud else .local;
    const reason = try call.print("{d} tokens: {t} models first", .{ request.prompt_tokens, preferred });
    return .{ .tag = .route, .payload = .{ .route = .{
        .ranking = .of(try rank(call, candidates, preferred)),
        .complexity = .of(null),
        .tier = .of(if (preferred == .cloud) .high else .low),
        .reason = .of(reason),
    } } };
}

/// The candidates by index, best first: those that answer before those that do not, and among them those of the
/// preferred location before the others.
fn rank(
    call: Allocator,
    candidates: []const contract.Candidate,
    preferred: contract.Location,
) Allocator.Error![]const u32 {
    var ranking: std.ArrayList(u32) = try .initCapacity(call, candidates.len);
    for ([_]bool{ false, true }) |out| {
        for ([_]bool{ false, true }) |other| {
            for (candidates, 0..) |candidate, index| {
                const is_other = candidate.model().location != preferred;
                if (isOut(candidate) == out and is_other == other) ranking.appendAssumeCapacity(@intCast(index));
            }
        }
    }
    return ranking.items;
}

fn isOut(candidate: contract.Candidate) bool {
    return candidate.health == .down or candidate.breaker == .open;
}
