//! Settings: what one is called, what it means, what it may be and its default, in one place.
//!
//! A hook states each of its settings as a constant, puts its `entry` into the manifest and calls its `read` in
//! `configure`. The default is written once, and a value that will not do is refused with a sentence that names the
//! setting, what it should be and what it is.

const std = @import("std");
const contract = @import("contract.zig");
const Allocator = std.mem.Allocator;

/// A setting that is a whole number.
pub const Integer = struct {
    name: []const u8,
    summary: []const u8,
    least: u32,
    most: u32,
    usual: u32,

    pub fn entry(setting: Integer) contract.Setting {
        return .{
            .name = .of(setting.name),
            .summary = .of(setting.summary),
            .default = .{ .tag = .integer, .payload = .{ .integer = setting.usual } },
            .meaning = .range(@floatFromInt(setting.least), @floatFromInt(setting.most)),
        };
    }

    /// The operator's value or the default.
    pub fn read(setting: Integer) contract.Error!u32 {
        const given = contract.setting(setting.name) orelse return setting.usual;
        // The gateway has checked that it is a whole number.
        const value = given.payload.integer;
        if (value < setting.least or value > setting.most) return contract.refuse(
            "setting {s} should be a whole number from {d} to {d}, but is {d}",
            .{ setting.name, setting.least, setting.most, value },
        );
        return @intCast(value);
    }
};

/// The policy's manifest. Both hooks give the same name and version.
pub fn manifest(
    call: Allocator,
    summary: []const u8,
    reads: contract.Reads,
    settings: []const contract.Setting,
) Allocator.Error!contract.Manifest {
    return .{
        .name = .of("{{name}}"),
        .version = .of("1.0.0"),
        .summary = .of(summary),
        .settings = .of(try call.dupe(contract.Setting, settings)),
        .reads = reads,
    };
}
