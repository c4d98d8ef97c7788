//! How demanding a text is: a sum of four shares, from 0 to 1.

const std = @import("std");
const words = @import("words.zig");
const Allocator = std.mem.Allocator;

/// What a keyword says of a text.
const Kind = enum { complex, simple, creation };

const Keyword = struct {
    /// In lower case.
    text: []const u8,
    kind: Kind,
};

const creation = [_][]const u8{ "create", "build" };
/// Words that are marks of code, by themselves and in lower case. They begin with c, d, f or i.
const code_words = [_][]const u8{ "def", "class", "function", "import", "from" };

pub const Score = struct {
    /// The sum of the shares, brought into 0 to 1.
    value: f64,
    length: f64,
    keywords: f64,
    code: f64,
    form: f64,
    /// The complex keywords, in the order of their list.
    complex: []const []const u8,
    /// Whether there is a simple one.
    simple: bool,
};

/// How many classes keywords are spread over by their first two bytes: at most places of a text none can begin.
const classes = 256;

fn classOf(first: u8, second: u8) usize {
    return (@as(usize, first) * 7 + second) % classes;
}

/// Keywords, ready to be looked for.
pub const Scorer = struct {
    list: []const Keyword,
    /// The keywords' places in the list, by class.
    by_class: [classes][]const usize,

    /// For keywords of two bytes or more. One that is listed twice counts once.
    pub fn init(keep: Allocator, complex: []const []const u8, simple: []const []const u8) Allocator.Error!Scorer {
        var list: std.ArrayList(Keyword) = .empty;
        var by_class: [classes]std.ArrayList(usize) = @splat(.empty);
        const sources = [_]struct { Kind, []const []const u8 }{
            .{ .complex, complex },
            .{ .simple, simple },
            .{ .creation, &creation },
        };
        for (sources) |source| {
            const kind, const texts = source;
            next: for (texts) |original| {
                const text = try words.lower(keep, original);
                const places = &by_class[classOf(text[0], text[1])];
                for (places.items) |place| {
                    const known = list.items[place];
                    if (known.kind == kind and std.mem.eql(u8, known.text, text)) continue :next;
                }
                try places.append(keep, list.items.len);
                try list.append(keep, .{ .text = text, .kind = kind });
            }
        }
        var scorer: Scorer = .{ .list = list.items, .by_class = undefined };
        for (&scorer.by_class, by_class) |*places, found| places.* = found.items;
        return scorer;
    }

    pub fn score(scorer: *const Scorer, call: Allocator, text: []const u8) Allocator.Error!Score {
        const marks: Marks = .of(text);
        const found = try scorer.find(call, text);
        const complex = found.get(.complex);

        const length: f64 = if (marks.characters < 100) 0.1 else if (marks.characters < 500) 0.3 else 0.5;
        const keywords: f64 = if (complex.len > 0)
            @min(@as(f64, @floatFromInt(complex.len)) * 0.1, 0.3)
        else if (found.get(.simple).len > 0) -0.1 else 0.1;
        const code: f64 = if (marks.isCode()) 0.3 else 0.0;
        const form: f64 = switch (marks.questions) {
            1, 2 => -0.1,
            else => if (found.get(.creation).len > 0) 0.2 else 0.0,
        };
        return .{
            // A sum of doubles in this order: on every machine it is the same to the last bit.
            .value = std.math.clamp(length + keywords + code + form, 0.0, 1.0),
            .length = length,
            .keywords = keywords,
            .code = code,
            .form = form,
            .complex = complex,
            .simple = found.get(.simple).len > 0,
        };
    }

    /// The keywords that occur, whatever their case, each once. One pass, as prompts are long and lists are too.
    fn find(scorer: *const Scorer, call: Allocator, text: []const u8) Allocator.Error!Found {
        const seen = try call.alloc(bool, scorer.list.len);
        @memset(seen, false);
        const lowered = try words.lower(call, text);
        var at: usize = 0;
        while (at + 1 < lowered.len) : (at += 1) {
            for (scorer.by_class[classOf(lowered[at], lowered[at + 1])]) |place| {
                if (!seen[place]) seen[place] = std.mem.startsWith(u8, lowered[at..], scorer.list[place].text);
            }
        }
        var found: std.EnumArray(Kind, std.ArrayList([]const u8)) = .initFill(.empty);
        for (scorer.list, seen) |keyword, occurs| {
            if (occurs) try found.getPtr(keyword.kind).append(call, keyword.text);
        }
        return .init(.{
            .complex = found.get(.complex).items,
            .simple = found.get(.simple).items,
            .creation = found.get(.creation).items,
        });
    }
};

const Found = std.EnumArray(Kind, []const []const u8);

/// What one pass over a text sees, beside keywords.
const Marks = struct {
    /// Unicode scalar values.
    characters: usize = 0,
    questions: usize = 0,
    brackets: bool = false,
    backticks: bool = false,
    words: [code_words.len]bool = @splat(false),

    fn of(text: []const u8) Marks {
        var marks: Marks = .{};
        for (text, 0..) |byte, at| {
            // All bytes of a character but the first are from 0x80 to 0xBF.
            if (byte & 0xC0 != 0x80) marks.characters += 1;
            switch (byte) {
                '{', '}', '[', ']', '(', ')', ';' => marks.brackets = true,
                '`' => marks.backticks = marks.backticks or std.mem.startsWith(u8, text[at..], "```"),
                '?' => marks.questions += 1,
                'c', 'd', 'f', 'i' => for (code_words, &marks.words) |word, *seen| {
                    seen.* = seen.* or words.isAt(text, at, word);
                },
                else => {},
            }
        }
        return marks;
    }

    /// Two of the seven marks make it code.
    fn isCode(marks: *const Marks) bool {
        var count = @as(u32, @intFromBool(marks.brackets)) + @intFromBool(marks.backticks);
        for (marks.words) |seen| count += @intFromBool(seen);
        return count >= 2;
    }
};
