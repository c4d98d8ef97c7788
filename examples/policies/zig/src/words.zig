//! Lower case, and where words begin and end.

const std = @import("std");
const unicode = std.unicode;

/// The C library's table of letters and digits of all scripts.
extern "c" fn iswalnum(character: c_uint) c_int;

/// Numbers that `iswalnum` leaves out, as they are no digits: superscripts, fractions, numbers in circles. Of the
/// scripts that have signs of their own for ten or a hundred, most are not here.
const other_numbers = [_]struct { u21, u21 }{
    .{ 0xB2, 0xB3 },     .{ 0xB9, 0xB9 },     .{ 0xBC, 0xBE },     .{ 0x9F4, 0x9F9 },   .{ 0x1369, 0x137C },
    .{ 0x2070, 0x2070 }, .{ 0x2074, 0x2079 }, .{ 0x2080, 0x2089 }, .{ 0x2150, 0x215F }, .{ 0x2189, 0x2189 },
    .{ 0x2460, 0x249B }, .{ 0x24EA, 0x24FF }, .{ 0x2776, 0x2793 }, .{ 0x3192, 0x3195 }, .{ 0x3220, 0x3229 },
    .{ 0x3248, 0x324F }, .{ 0x3251, 0x325F }, .{ 0x3280, 0x3289 }, .{ 0x32B1, 0x32BF },
};

fn isWord(character: u21) bool {
    if (character == '_' or iswalnum(character) != 0) return true;
    return for (other_numbers) |range| {
        if (character >= range[0] and character <= range[1]) break true;
    } else false;
}

/// The characters at the two sides of a place. The gateway passes valid UTF-8 only.
fn after(text: []const u8, at: usize) ?u21 {
    var rest = unicode.Utf8View.initUnchecked(text[at..]).iterator();
    return rest.nextCodepoint();
}

fn before(text: []const u8, at: usize) ?u21 {
    if (at == 0) return null;
    var begin = at - 1;
    while (text[begin] & 0xC0 == 0x80) begin -= 1;
    return after(text, begin);
}

/// Whether the part from `from` to `end` is a word by itself: no letter, digit or other number, and no underscore, is
/// right before or after it.
fn standsAlone(text: []const u8, from: usize, end: usize) bool {
    const word_before = if (before(text, from)) |character| isWord(character) else false;
    const word_after = if (after(text, end)) |character| isWord(character) else false;
    return !word_before and !word_after;
}

/// Whether a word is at a place of a text, by itself and as it is written.
pub fn isAt(text: []const u8, at: usize, word: []const u8) bool {
    return std.mem.startsWith(u8, text[at..], word) and standsAlone(text, at, at + word.len);
}

/// A text in lower case, as Python's `str.lower` has it, of ASCII and of the two letters beyond it whose lower case has
/// ASCII in it.
pub fn lower(allocator: std.mem.Allocator, text: []const u8) std.mem.Allocator.Error![]const u8 {
    const dotted_i = "\u{130}";
    const kelvin = "\u{212A}";
    // Two bytes may become three.
    var lowered: std.ArrayList(u8) = try .initCapacity(allocator, text.len + text.len / 2);
    var at: usize = 0;
    while (at < text.len) {
        const rest = text[at..];
        if (text[at] == dotted_i[0] and std.mem.startsWith(u8, rest, dotted_i)) {
            lowered.appendSliceAssumeCapacity("i\u{307}");
            at += dotted_i.len;
        } else if (text[at] == kelvin[0] and std.mem.startsWith(u8, rest, kelvin)) {
            lowered.appendAssumeCapacity('k');
            at += kelvin.len;
        } else {
            lowered.appendAssumeCapacity(std.ascii.toLower(text[at]));
            at += 1;
        }
    }
    return lowered.items;
}
