//! Settings: what one is called, what it means, what it may be and its default, in one place.
//!
//! A hook states each of its settings as a constant, puts its `entry` into the manifest and calls its `read` in
//! `configure`. The default is written once, and a value that will not do is refused with a sentence that names the
//! setting, what it should be and what it is.
//!
//! The gateway has checked the type of what the operator wrote: but for a whole number where any number will do, it is
//! that of the manifest.

const std = @import("std");
const contract = @import("contract.zig");
const Allocator = std.mem.Allocator;

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
        const value = given.payload.integer;
        if (value < setting.least or value > setting.most) return contract.refuse(
            "setting {s} should be a whole number from {d} to {d}, but is {d}",
            .{ setting.name, setting.least, setting.most, value },
        );
        return @intCast(value);
    }
};

pub const Number = struct {
    name: []const u8,
    summary: []const u8,
    least: f64,
    most: f64,
    usual: f64,

    pub fn entry(setting: Number) contract.Setting {
        return .{
            .name = .of(setting.name),
            .summary = .of(setting.summary),
            .default = .{ .tag = .number, .payload = .{ .number = setting.usual } },
            .meaning = .range(setting.least, setting.most),
        };
    }

    /// The operator's value or the default.
    pub fn read(setting: Number) contract.Error!f64 {
        const given = contract.setting(setting.name) orelse return setting.usual;
        const value: f64 = switch (given.tag) {
            .integer => @floatFromInt(given.payload.integer),
            else => given.payload.number,
        };
        if (value < setting.least or value > setting.most) return contract.refuse(
            "setting {s} should be a number from {d} to {d}, but is {d}",
            .{ setting.name, setting.least, setting.most, value },
        );
        return value;
    }
};

pub const Text = struct {
    name: []const u8,
    summary: []const u8,
    /// What it names, if it does: models or labels.
    meaning: contract.Meaning = .plain,
    usual: []const u8,

    pub fn entry(setting: Text) contract.Setting {
        return .{
            .name = .of(setting.name),
            .summary = .of(setting.summary),
            .default = .{ .tag = .text, .payload = .{ .text = .of(setting.usual) } },
            .meaning = setting.meaning,
        };
    }

    /// The operator's value or the default, in memory of that allocator.
    pub fn read(setting: Text, keep: Allocator) contract.Error![]const u8 {
        const given = contract.setting(setting.name) orelse return setting.usual;
        return keep.dupe(u8, given.payload.text.items());
    }
};

pub const Texts = struct {
    name: []const u8,
    summary: []const u8,
    /// What they name, if they do: models, those of a tier, or labels.
    meaning: contract.Meaning = .plain,
    usual: []const []const u8,

    pub fn entry(comptime setting: Texts) contract.Setting {
        const usual = comptime usual: {
            var list: [setting.usual.len]contract.String = undefined;
            for (&list, setting.usual) |*string, text| string.* = .of(text);
            break :usual list;
        };
        return .{
            .name = .of(setting.name),
            .summary = .of(setting.summary),
            .default = .{ .tag = .texts, .payload = .{ .texts = .of(&usual) } },
            .meaning = setting.meaning,
        };
    }

    /// The operator's value or the default, in memory of that allocator.
    pub fn read(setting: Texts, keep: Allocator) contract.Error![]const []const u8 {
        const given = contract.setting(setting.name) orelse return setting.usual;
        const texts = try keep.alloc([]const u8, given.payload.texts.len);
        for (texts, given.payload.texts.items()) |*text, string| text.* = try keep.dupe(u8, string.items());
        return texts;
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
        .name = .of("complexity-zig"),
        .version = .of("1.0.0"),
        .summary = .of(summary),
        .settings = .of(try call.dupe(contract.Setting, settings)),
        .reads = reads,
    };
}
