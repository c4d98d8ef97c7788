//! The cost hook: what a request will cost on each candidate.

const std = @import("std");
const contract = @import("contract.zig");
const settings = @import("settings.zig");
const Allocator = std.mem.Allocator;

const expected_output_tokens: settings.Integer = .{
    .name = "expected-output-tokens",
    .summary = "Output tokens to expect of a request, 0 to 10,000,000; fewer where the client's limit is lower.",
    .least = 0,
    .most = 10_000_000,
    .usual = 500,
};

/// Prices are for so many tokens.
const priced_tokens = 1_000_000;

var usual_output: u32 = undefined;

pub fn describe(call: Allocator) Allocator.Error!contract.Manifest {
%both     const summary = "Short prompts stay local, long ones go to the cloud.";
%one     const summary = "Prompt tokens at the input price and the expected answer at the output price.";
    return settings.manifest(call, summary, .{ .prompt = .none }, &.{expected_output_tokens.entry()});
}

pub fn configure(_: Allocator) contract.Error!void {
    usual_output = try expected_output_tokens.read();
}

pub fn estimate(
    call: Allocator,
    request: *const contract.Request,
    _: *const contract.Prompt,
    candidates: []const contract.Candidate,
) contract.Error![]const contract.CostEstimate {
    const input = request.prompt_tokens;
    const output = @min(usual_output, request.max_tokens.get() orelse usual_output);
    const estimates = try call.alloc(contract.CostEstimate, candidates.len);
    for (estimates, candidates) |*expected, candidate| expected.* = .{
        .input_tokens = input,
        .output_tokens = output,
        .cost = if (candidate.model().price.get()) |price| cost(price, input, output) else contract.unpriced,
    };
    return estimates;
}

/// In nano-dollars, halves rounded up. What 64 bits cannot hold is not known either.
fn cost(price: contract.Price, input: u32, output: u32) u64 {
    // A product of 32 and 64 bits has at most 96, so that the sum cannot overflow.
    const sum = @as(u128, input) * price.input + @as(u128, output) * price.output;
    return std.math.lossyCast(u64, (sum + priced_tokens / 2) / priced_tokens);
}
