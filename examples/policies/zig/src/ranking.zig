//! Which candidate comes before which.

const std = @import("std");
const contract = @import("contract.zig");
const Allocator = std.mem.Allocator;

/// The models that the settings name.
pub const Models = struct {
    /// From the least to the most capable.
    row: []const []const u8,
    /// Where in the row each tier's begin.
    begins: std.EnumArray(contract.Tier, usize),

    /// The candidates in a tier's order; of a confidential request the local ones only.
    pub fn order(
        models: *const Models,
        call: Allocator,
        candidates: []const contract.Candidate,
        tier: contract.Tier,
        confidential: bool,
    ) Allocator.Error![]const u32 {
        const Placed = struct {
            index: u32,
            place: usize,

            fn lessThan(_: void, one: @This(), other: @This()) bool {
                return one.place < other.place;
            }
        };
        var placed: std.ArrayList(Placed) = try .initCapacity(call, candidates.len);
        for (candidates, 0..) |*candidate, index| {
            if (confidential and candidate.model().location != .local) continue;
            const place = models.placeOf(candidate.model().name.items(), tier);
            placed.appendAssumeCapacity(.{ .index = @intCast(index), .place = place });
        }
        // Candidates of the same place stay in the given order.
        std.mem.sort(Placed, placed.items, {}, Placed.lessThan);
        const indexes = try call.alloc(u32, placed.items.len);
        for (indexes, placed.items) |*index, candidate| index.* = candidate.index;
        return indexes;
    }

    /// Up the row from the tier's first, then down from there, then all that the settings do not name.
    fn placeOf(models: *const Models, model: []const u8, tier: contract.Tier) usize {
        const begin = models.begins.get(tier);
        return for (models.row, 0..) |named, at| {
            if (std.mem.eql(u8, named, model)) break if (at >= begin) at - begin else models.row.len - at;
        } else models.row.len + 1;
    }
};

/// What keeps a candidate from answering, in words that follow its name; null where it can answer.
pub fn obstacle(request: *const contract.Request, candidate: *const contract.Candidate) ?[]const u8 {
    const tokens = @as(u64, request.prompt_tokens) + (request.max_tokens.get() orelse 0);
    if (candidate.health == .down) return "is down";
    if (candidate.breaker == .open) return "has an open breaker";
    const model = candidate.model();
    if (model.context_window.get()) |window| {
        if (tokens > window) return "has too small a context window";
    }
    if (request.tools and !model.capabilities.tools) return "cannot call tools";
    if (request.images and !model.capabilities.images) return "cannot read images";
    if (request.structured_output and !model.capabilities.structured_output) return "cannot be held to an output format";
    return null;
}

/// The same ranking with those that have an obstacle at its end, otherwise in order.
pub fn ableFirst(
    call: Allocator,
    request: *const contract.Request,
    candidates: []const contract.Candidate,
    ranking: []const u32,
) Allocator.Error![]const u32 {
    var able: std.ArrayList(u32) = try .initCapacity(call, ranking.len);
    var unable: std.ArrayList(u32) = .empty;
    for (ranking) |index| {
        if (obstacle(request, &candidates[index]) == null) {
            able.appendAssumeCapacity(index);
        } else {
            try unable.append(call, index);
        }
    }
    able.appendSliceAssumeCapacity(unable.items);
    return able.items;
}
