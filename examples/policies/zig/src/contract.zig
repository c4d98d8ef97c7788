//! The contract `wasmgate:policy@2.0.0` in Zig: its types as they lie in memory, its imports, and a hook's exports.
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

pub const Role = enum(u32) { system, user, assistant, tool };
pub const Message = extern struct { role: Role, start: u32, length: u32 };
pub const Conversation = extern struct { text: String, messages: List(Message) };
pub const LeftOut = extern struct { messages: u32, bytes: u64, labels: u32 };
pub const Budget = extern struct { limit: u64, left: u64 };
pub const Pair = extern struct { name: String, value: String };

/// What the policy reads of the conversation.
pub const Prompt = extern struct {
    tag: enum(u8) { none, newest, conversation },
    payload: extern union { none: void, newest: String, conversation: Conversation },

    /// The text of the newest message of the user; empty if there is none, or the policy reads no text.
    pub fn newest(prompt: *const Prompt) []const u8 {
        if (prompt.tag == .newest) return prompt.payload.newest.items();
        var newest_first = std.mem.reverseIterator(prompt.messages());
        while (newest_first.next()) |message| {
            if (message.role == .user) return prompt.textOf(message);
        }
        return "";
    }

    /// The messages that a policy reads which reads the conversation, oldest first.
    pub fn messages(prompt: *const Prompt) []const Message {
        return if (prompt.tag == .conversation) prompt.payload.conversation.messages.items() else &.{};
    }

    /// The text of one of `messages`.
    pub fn textOf(prompt: *const Prompt, message: Message) []const u8 {
        return prompt.payload.conversation.text.items()[message.start..][0..message.length];
    }
};

pub const Request = extern struct {
    requested: Option(u32),
    answered_before: Option(u32),
    pinned: bool,
    prompt_tokens: u32,
    max_tokens: Option(u32),
    streaming: bool,
    tools: bool,
    images: bool,
    structured_output: bool,
    messages: u32,
    text_bytes: u64,
    newest_bytes: u64,
    budget: Option(Budget),
    left_out: LeftOut,
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

/// A configured model.
pub const Model = extern struct {
    name: String,
    backend: String,
    location: Location,
    price: Option(Price),
    context_window: Option(u32),
    capabilities: Capabilities,
    labels: List(Pair),
};

/// The cost of an estimate where a candidate has no price.
pub const unpriced = std.math.maxInt(u64);

pub const CostEstimate = extern struct { input_tokens: u32, output_tokens: u32, cost: u64 };

pub const Candidate = extern struct {
    /// Among the configured models; `model` is the model itself.
    place: u32,
    health: Health,
    breaker: Breaker,
    in_flight: u32,
    time_left: f64,
    /// These three are 0 where nothing was observed: `known` makes them optional.
    latency: f64,
    time_to_first_token: f64,
    tokens_per_second: f64,
    /// `expected` is null where the gateway has none.
    estimate: CostEstimate,

    pub fn model(candidate: Candidate) *const Model {
        return &configured_models[candidate.place];
    }

    /// What the cost policy expects.
    pub fn expected(candidate: Candidate) ?CostEstimate {
        return if (candidate.estimate.input_tokens == std.math.maxInt(u32)) null else candidate.estimate;
    }
};

/// A time or a rate of a candidate; null where it was not observed.
pub fn known(observed: f64) ?f64 {
    return if (observed > 0) observed else null;
}

pub const Tier = enum(u8) { low, medium, high };

pub const Value = extern struct {
    tag: enum(u8) { boolean, integer, number, text, texts },
    payload: extern union { boolean: bool, integer: i64, number: f64, text: String, texts: List(String) },
};

/// What a setting's value means beyond its type.
pub const Meaning = extern struct {
    tag: enum(u8) { plain, range, models, tier, labels },
    payload: extern union { range: [2]f64, tier: Tier, none: void },

    pub const plain: Meaning = .{ .tag = .plain, .payload = .{ .none = {} } };
    pub const models: Meaning = .{ .tag = .models, .payload = .{ .none = {} } };
    pub const labels: Meaning = .{ .tag = .labels, .payload = .{ .none = {} } };

    pub fn range(least: f64, most: f64) Meaning {
        return .{ .tag = .range, .payload = .{ .range = .{ least, most } } };
    }

    pub fn ofTier(tier: Tier) Meaning {
        return .{ .tag = .tier, .payload = .{ .tier = tier } };
    }
};

pub const Setting = extern struct { name: String, summary: String, default: Value, meaning: Meaning };

/// What a policy reads of requests. What it does not read, it cannot see.
pub const Reads = extern struct {
    prompt: enum(u8) { none, newest, conversation },
    labels: List(String) = .of(&.{}),
    tenant: bool = false,
};

pub const Manifest = extern struct {
    name: String,
    version: String,
    summary: String,
    settings: List(Setting),
    reads: Reads,
    denies: bool = false,
    reasons: List(String) = .of(&.{}),
};

/// Why, in a sentence or as one of the manifest's reasons with its numbers.
pub const Reason = extern struct {
    tag: enum(u8) { text, code },
    payload: extern union { text: String, code: extern struct { number: u32, values: List(f64) } },

    pub fn of(sentence: []const u8) Reason {
        return .{ .tag = .text, .payload = .{ .text = .of(sentence) } };
    }
};

pub const Decision = extern struct {
    ranking: List(u32),
    complexity: Option(f64),
    tier: Option(Tier),
    reason: Reason,
};

pub const Denial = extern struct { code: String, reason: String };

pub const Verdict = extern struct {
    tag: enum(u8) { route, deny, pass },
    payload: extern union { route: Decision, deny: Denial, pass: void },
};

comptime {
    // Sizes by the canonical ABI: a field that is missing above would be found here.
    std.debug.assert(@sizeOf(Arguments) == 136);
    std.debug.assert(@sizeOf(Candidate) == 64);
    std.debug.assert(@sizeOf(Model) == 72);
    std.debug.assert(@sizeOf(Setting) == 56);
    std.debug.assert(@sizeOf(Manifest) == 60);
    std.debug.assert(@sizeOf(Verdict) == 56);
}

const imports = struct {
    extern "wasmgate:policy/settings@2.0.0" fn get(name: [*]const u8, len: usize, answer: *Option(Value)) void;
    extern "wasmgate:policy/log@2.0.0" fn write(level: LogLevel, line: [*]const u8, len: usize) void;
    extern "wasmgate:policy/request-facts@2.0.0" fn id(answer: *String) void;
    extern "wasmgate:policy/request-facts@2.0.0" fn dialect(answer: *String) void;
    extern "wasmgate:policy/request-facts@2.0.0" fn tenant(answer: *Option(String)) void;
    extern "wasmgate:policy/request-facts@2.0.0" fn label(name: [*]const u8, len: usize, answer: *Option(String)) void;
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

/// The request's id. It lives as long as the call, as what the next functions return.
pub fn id() []const u8 {
    var answer: String = undefined;
    imports.id(&answer);
    return answer.items();
}

/// The wire dialect in which the client spoke, such as `openai`.
pub fn dialect() []const u8 {
    var answer: String = undefined;
    imports.dialect(&answer);
    return answer.items();
}

/// The tenant's name; null for a policy that does not read tenants.
pub fn tenant() ?[]const u8 {
    var answer: Option(String) = undefined;
    imports.tenant(&answer);
    return if (answer.get()) |name| name.items() else null;
}

/// The value of a label; null where the request has none of that name, or the policy does not read it.
pub fn label(name: []const u8) ?[]const u8 {
    var answer: Option(String) = undefined;
    imports.label(name.ptr, name.len, &answer);
    return if (answer.get()) |value| value.items() else null;
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

/// Of the configured models.
var models_arena: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

var configured_models: []const Model = &.{};

/// The configured models, in the configuration's order. A request's `requested` and `answered_before` are places in it.
pub fn models() []const Model {
    return configured_models;
}

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

        /// Keeps the models where the gateway put them: the memory of this call is theirs from now on.
        fn setModels(ptr: [*]const Model, len: usize) callconv(.c) void {
            configured_models = ptr[0..len];
            std.mem.swap(std.heap.ArenaAllocator, &arena, &models_arena);
            _ = arena.reset(.retain_capacity);
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
    @export(&common.setModels, .{ .name = interface ++ "#set-models" });
}

/// More parameters than fit into registers come as a struct.
const Arguments = extern struct { request: Request, prompt: Prompt, candidates: List(Candidate) };

/// Exports the routing hook. Beside `describe` and `configure` it has
/// `route(Allocator, *const Request, *const Prompt, []const Candidate) Error!Verdict`.
pub fn exportRouting(comptime hook: type) void {
    const interface = "wasmgate:policy/routing@2.0.0";
    const exported = struct {
        fn route(given: *const Arguments) callconv(.c) *const Result(Verdict) {
            const candidates = given.candidates.items();
            return result(Verdict, hook.route(arena.allocator(), &given.request, &given.prompt, candidates));
        }
    };
    exportCommon(interface, hook);
    exportAs(interface ++ "#route", &exported.route, &Common(hook).end);
}

/// Exports the cost hook. Beside `describe` and `configure` it has
/// `estimate(Allocator, *const Request, *const Prompt, []const Candidate) Error![]const CostEstimate`.
pub fn exportCost(comptime hook: type) void {
    const interface = "wasmgate:policy/cost@2.0.0";
    const exported = struct {
        fn estimate(given: *const Arguments) callconv(.c) *const Result(List(CostEstimate)) {
            const candidates = given.candidates.items();
            const estimates = hook.estimate(arena.allocator(), &given.request, &given.prompt, candidates);
            return result(List(CostEstimate), if (estimates) |list| .of(list) else |failure| failure);
        }
    };
    exportCommon(interface, hook);
    exportAs(interface ++ "#estimate", &exported.estimate, &Common(hook).end);
}
