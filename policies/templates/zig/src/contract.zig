//! The contract `wasmgate:policy@1.0.0` in Zig: its types as they lie in memory, its imports, and a hook's exports.
//!
//! The canonical ABI lays records out as C does structs, so that what the gateway writes into this module's memory is
//! read where it lies. `wit/policy.wit` says what each field means.
//!
//! All that a call gets and returns is in one arena, which is emptied when the gateway has read the answer.

const std = @import("std");
const Allocator = std.mem.Allocator;

/// A list of the contract.
pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        pub fn of(slice: []const T) @This() {
            return .{ .ptr = slice.ptr, .len = slice.len };
        }

        pub fn items(list: @This()) []const T {
            return list.ptr[0..list.len];
        }
    };
}

/// UTF-8.
pub const String = List(u8);

/// An optional value of the contract.
pub fn Option(comptime T: type) type {
    return extern struct {
        is_some: bool,
        value: T,

        pub fn of(optional: ?T) @This() {
            return .{ .is_some = optional != null, .value = optional orelse undefined };
        }

        pub fn get(option: @This()) ?T {
            return if (option.is_some) option.value else null;
        }
    };
}

/// A result of the contract whose error is a sentence.
fn Result(comptime T: type) type {
    return extern struct {
        is_err: bool,
        payload: extern union { ok: T, err: String },
    };
}

pub const Dialect = enum(u8) { native, openai, anthropic, ollama };
pub const Role = enum(u8) { system, user, assistant, tool };
pub const Message = extern struct { role: Role, text: String };
pub const Budget = extern struct { limit: u64, left: u64 };
pub const Pair = extern struct { name: String, value: String };

pub const Request = extern struct {
    id: String,
    dialect: Dialect,
    requested_model: String,
    messages: List(Message),
    prompt_tokens: u32,
    max_tokens: Option(u32),
    streaming: bool,
    tools: bool,
    images: bool,
    tenant: Option(String),
    budget: Option(Budget),
    labels: List(Pair),
    hints: List(Pair),
};

pub const Location = enum(u8) { local, cloud };
pub const Health = enum(u8) { unknown, healthy, degraded, down };
pub const Breaker = enum(u8) { closed, half_open, open };

pub const Capabilities = packed struct(u8) {
    tools: bool,
    images: bool,
    structured_output: bool,
    unused: u5,
};

pub const Price = extern struct { input: u64, output: u64 };

pub const Observed = extern struct {
    latency: f64,
    time_to_first_token: Option(f64),
    tokens_per_second: Option(f64),
};

pub const CostEstimate = extern struct { input_tokens: u32, output_tokens: u32, cost: Option(u64) };

pub const Candidate = extern struct {
    model: String,
    backend: String,
    location: Location,
    price: Option(Price),
    context_window: Option(u32),
    capabilities: Capabilities,
    health: Health,
    breaker: Breaker,
    in_flight: u32,
    observed: Option(Observed),
    estimate: Option(CostEstimate),
};

pub const Value = extern struct {
    tag: enum(u8) { boolean, integer, number, text, texts },
    payload: extern union { boolean: bool, integer: i64, number: f64, text: String, texts: List(String) },
};

pub const Setting = extern struct { name: String, summary: String, default: Value };
pub const Manifest = extern struct { name: String, version: String, summary: String, settings: List(Setting) };

pub const Tier = enum(u8) { low, medium, high };

pub const Decision = extern struct {
    ranking: List(u32),
    complexity: Option(f64),
    tier: Option(Tier),
    reason: String,
};

pub const Denial = extern struct { code: String, reason: String };

pub const Verdict = extern struct {
    tag: enum(u8) { route, deny, pass },
    payload: extern union { route: Decision, deny: Denial, pass: void },
};

comptime {
    // Sizes by the canonical ABI: a field that is missing above would be found here.
    std.debug.assert(@sizeOf(Request) == 96);
    std.debug.assert(@sizeOf(Candidate) == 144);
    std.debug.assert(@sizeOf(Setting) == 32);
    std.debug.assert(@sizeOf(Manifest) == 32);
    std.debug.assert(@sizeOf(Verdict) == 48);
}

const imports = struct {
    extern "wasmgate:policy/settings@1.0.0" fn get(name: [*]const u8, len: usize, answer: *Option(Value)) void;
    extern "wasmgate:policy/log@1.0.0" fn write(level: LogLevel, line: [*]const u8, len: usize) void;
};

/// The operator's value of a setting; null where the operator gave none. It lives as long as the call.
pub fn setting(name: []const u8) ?Value {
    var answer: Option(Value) = undefined;
    imports.get(name.ptr, name.len, &answer);
    return answer.get();
}

pub const LogLevel = enum(u32) { debug, info, warn, @"error" };

/// Writes a line to the operator's log. Never write prompts to it.
pub fn log(level: LogLevel, line: []const u8) void {
    imports.write(level, line.ptr, line.len);
}

/// A policy that goes wrong says so in the operator's log and traps: the gateway counts a failure, and the next call
/// gets a fresh instance.
pub const panic = std.debug.FullPanic(struct {
    fn call(message: []const u8, _: ?usize) noreturn {
        log(.@"error", message);
        @trap();
    }
}.call);

/// Of what a call gets and returns.
var arena: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// How a hook's functions end early: with a sentence for the operator, or without memory.
pub const Error = error{ Refused, OutOfMemory };

var refusal: []const u8 = "";

/// Ends `configure`, `route` or `estimate` with an error, in a sentence.
pub fn refuse(comptime format: []const u8, arguments: anytype) Error {
    refusal = try arena.allocator().print(format, arguments);
    return error.Refused;
}

fn outOfMemory() noreturn {
    @panic("out of memory");
}

/// What the gateway gets, from what a hook's function gave.
fn result(comptime T: type, given: Error!T) *const Result(T) {
    const answer = arena.allocator().create(Result(T)) catch outOfMemory();
    answer.* = if (given) |ok|
        .{ .is_err = false, .payload = .{ .ok = ok } }
    else |failure| switch (failure) {
        error.Refused => .{ .is_err = true, .payload = .{ .err = .of(refusal) } },
        error.OutOfMemory => outOfMemory(),
    };
    return answer;
}

/// Where the gateway puts what it passes. Meanwhile nothing can be logged: without memory it traps at once.
export fn cabi_realloc(old: [*]u8, old_len: usize, alignment: usize, len: usize) [*]u8 {
    if (len == 0) return @ptrFromInt(alignment);
    const new = arena.allocator().rawAlloc(len, .fromByteUnits(alignment), 0) orelse @trap();
    const kept = @min(old_len, len);
    @memcpy(new[0..kept], old[0..kept]);
    return new;
}

/// What both hooks have: `describe(Allocator) Allocator.Error!Manifest`, which may use memory of the call, and
/// `configure(Allocator) Error!void`, whose memory stays for the life of the instance.
fn Common(comptime hook: type) type {
    return struct {
        fn describe() callconv(.c) *const Manifest {
            const manifest = arena.allocator().create(Manifest) catch outOfMemory();
            manifest.* = hook.describe(arena.allocator()) catch outOfMemory();
            return manifest;
        }

        fn configure() callconv(.c) *const Result(void) {
            return result(void, hook.configure(std.heap.wasm_allocator));
        }

        /// After each call, when its answer was read.
        fn end(_: *const anyopaque) callconv(.c) void {
            _ = arena.reset(.retain_capacity);
        }
    };
}

fn exportAs(comptime name: []const u8, comptime function: anytype, comptime end: anytype) void {
    @export(function, .{ .name = name });
    @export(end, .{ .name = "cabi_post_" ++ name });
}

fn exportCommon(comptime interface: []const u8, comptime hook: type) void {
    const common = Common(hook);
    exportAs(interface ++ "#describe", &common.describe, &common.end);
    exportAs(interface ++ "#configure", &common.configure, &common.end);
}

/// More parameters than fit into registers come as a struct.
const Arguments = extern struct { request: Request, candidates: List(Candidate) };

/// Exports the routing hook. Beside `describe` and `configure` it has
/// `route(Allocator, *const Request, []const Candidate) Error!Verdict`.
pub fn exportRouting(comptime hook: type) void {
    const interface = "wasmgate:policy/routing@1.0.0";
    const exported = struct {
        fn route(arguments: *const Arguments) callconv(.c) *const Result(Verdict) {
            return result(Verdict, hook.route(arena.allocator(), &arguments.request, arguments.candidates.items()));
        }
    };
    exportCommon(interface, hook);
    exportAs(interface ++ "#route", &exported.route, &Common(hook).end);
}

/// Exports the cost hook. Beside `describe` and `configure` it has
/// `estimate(Allocator, *const Request, []const Candidate) Error![]const CostEstimate`.
pub fn exportCost(comptime hook: type) void {
    const interface = "wasmgate:policy/cost@1.0.0";
    const exported = struct {
        fn estimate(arguments: *const Arguments) callconv(.c) *const Result(List(CostEstimate)) {
            const estimates = hook.estimate(arena.allocator(), &arguments.request, arguments.candidates.items());
            return result(List(CostEstimate), if (estimates) |list| .of(list) else |failure| failure);
        }
    };
    exportCommon(interface, hook);
    exportAs(interface ++ "#estimate", &exported.estimate, &Common(hook).end);
}
