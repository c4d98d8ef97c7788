//! Finds many keywords in one pass over a text, whatever their case.
//!
//! Case is folded as Python's `str.lower` does, over all of Unicode: a keyword occurs where its lower
//! case is a part of the text's lower case. Lowering a whole text would cost more than all the rest, and
//! is left out where it cannot matter. With keywords of ASCII alone, as by default, it is two rare
//! letters that can matter; for all other texts comparing without regard to ASCII case is the same.
//!
//! The search takes a text in steps of six places. A table says of the three letters at each place whether
//! a keyword may begin with them; mostly none does at any of the six, and one branch settles it. The table
//! is made anew in each instance: it takes two kilobytes and about two microseconds, where an automaton's
//! tables for as many words are far larger; and places do not wait for one another, as they do in searches that skip ahead.

use crate::marks::Marks;
use crate::words;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

extern crate alloc;

/// The shortest keyword, in bytes.
pub(crate) const SHORTEST: usize = 2;

/// Asking for something to be made, whatever the keywords of the settings.
const CREATION: [&str; 2] = ["create", "build"];

/// Words that are marks of code: by themselves and in lower case.
const CODE: [&str; 5] = ["def", "class", "function", "import", "from"];

/// The lowest five bits of each byte, in which the cases of a letter are alike.
const FOLD: u64 = 0x1f1f_1f1f_1f1f_1f1f;
const THREE: u32 = 0xff_ffff;

/// How many classes the first three bytes of a keyword are spread over.
const STARTS: usize = 1 << START_BITS;
const START_BITS: u32 = 10;

/// How many places one step looks at: six times three bytes begin within eight.
const STEP: usize = 6;

/// A set of keywords, ready to search.
pub(crate) struct Keywords {
    list: Vec<Keyword>,
    /// The keywords by the class of their start, ascending.
    by_start: Vec<Start>,
    /// By class: 0 where there is no keyword, else 1 + the place of its first in `by_start`.
    starts: Box<[u16; STARTS]>,
    /// Whether a keyword has anything but ASCII.
    beyond_ascii: bool,
}

/// What a keyword says of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Demanding.
    Complex,
    /// Not demanding.
    Simple,
    /// Something is to be made.
    Creation,
    /// There is code.
    Code,
}

struct Keyword {
    /// In lower case, at least two bytes.
    text: Cow<'static, str>,
    kind: Kind,
}

/// Three bytes with which a keyword begins.
struct Start {
    class: usize,
    three: u32,
    /// The keyword's place in the list.
    keyword: u16,
}

/// Which keywords a text has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// By place in the list.
    seen: Vec<bool>,
    /// By kind.
    counts: [usize; 4],
}

impl Found {
    /// How many keywords of a kind there are, each counted once.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize]
    }
}

impl Keywords {
    /// Prepares a search. Keywords of less than two bytes are ignored, as are repetitions; what is beyond
    /// the 65,535th too, which no list of an operator reaches.
    pub(crate) fn new(complex: Vec<Cow<'static, str>>, simple: Vec<Cow<'static, str>>) -> Self {
        let mut list: Vec<Keyword> = Vec::with_capacity(complex.len() + simple.len() + CREATION.len() + CODE.len());
        let creation = CREATION.iter().map(|&text| (text.into(), Kind::Creation));
        let code = CODE.iter().map(|&text| (text.into(), Kind::Code));
        let complex = complex.into_iter().map(|text| (text, Kind::Complex));
        let simple = simple.into_iter().map(|text| (text, Kind::Simple));
        for (text, kind) in complex.chain(simple).chain(creation).chain(code) {
            let text = lower(text);
            let known = |keyword: &Keyword| keyword.kind == kind && keyword.text == text;
            if text.len() >= SHORTEST && list.len() < usize::from(u16::MAX) && !list.iter().any(known) {
                list.push(Keyword { text, kind });
            }
        }
        let mut by_start = Vec::with_capacity(list.len());
        for (at, keyword) in list.iter().enumerate() {
            by_start.extend(starts_of(keyword.text.as_bytes()).map(|three| Start {
                class: class(three),
                three,
                keyword: at as u16,
            }));
        }
        by_start.sort_unstable_by_key(|start| start.class);
        let mut starts = Box::new([0; STARTS]);
        for (place, start) in by_start.iter().enumerate().rev() {
            starts[start.class] = place as u16 + 1;
        }
        let beyond_ascii = list.iter().any(|keyword| !keyword.text.is_ascii());
        Self { list, by_start, starts, beyond_ascii }
    }

    /// Which keywords occur in a text, whose marks are these.
    pub(crate) fn find(&self, text: &str, marks: &Marks) -> Found {
        let mut found = Found { seen: vec![false; self.list.len()], counts: [0; 4] };
        if marks.folds_to_ascii || (self.beyond_ascii && marks.beyond_ascii) {
            // Words of code are looked for as they stand.
            self.search(text, |kind| kind == Kind::Code, &mut found);
            self.search(&text.to_lowercase(), |kind| kind != Kind::Code, &mut found);
        } else {
            self.search(text, |_| true, &mut found);
        }
        found
    }

    fn search(&self, text: &str, wanted: impl Fn(Kind) -> bool, found: &mut Found) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(eight) = bytes[at..].first_chunk() {
            let eight = u64::from_le_bytes(*eight) & FOLD;
            let three: [u32; STEP] = core::array::from_fn(|place| (eight >> (8 * place)) as u32 & THREE);
            let any = three.iter().fold(0, |any, &three| any | self.starts[class(three)]);
            if any != 0 {
                for (place, &three) in three.iter().enumerate() {
                    self.compare(text, at + place, three, &wanted, found);
                }
            }
            at += STEP;
        }
        // Fewer than eight bytes are left.
        for at in at..bytes.len() {
            self.compare(text, at, first_three(&bytes[at..]), &wanted, found);
        }
    }

    /// The found keywords of a kind, in the order of their list.
    pub(crate) fn texts<'a>(&'a self, found: &'a Found, kind: Kind) -> impl Iterator<Item = &'a str> {
        let seen = self.list.iter().zip(&found.seen).filter(move |(keyword, seen)| **seen && keyword.kind == kind);
        seen.map(|(keyword, _)| &*keyword.text)
    }

    /// Notes the wanted keywords at a place of the text, the three bytes of which are `three`.
    fn compare(&self, text: &str, at: usize, three: u32, wanted: impl Fn(Kind) -> bool, found: &mut Found) {
        let class = class(three);
        let Some(first) = usize::from(self.starts[class]).checked_sub(1) else { return };
        for start in self.by_start[first..].iter().take_while(|start| start.class == class) {
            let (place, keyword) = (usize::from(start.keyword), &self.list[usize::from(start.keyword)]);
            if start.three == three && !found.seen[place] && wanted(keyword.kind) && keyword.is_at(text, at) {
                found.seen[place] = true;
                found.counts[keyword.kind as usize] += 1;
            }
        }
    }
}

impl Keyword {
    fn is_at(&self, text: &str, at: usize) -> bool {
        let end = at + self.text.len();
        let Some(part) = text.as_bytes().get(at..end) else { return false };
        match self.kind {
            // Where ASCII stands, characters begin and end.
            Kind::Code => part == self.text.as_bytes() && words::stands_alone(text, at, end),
            _ => part.eq_ignore_ascii_case(self.text.as_bytes()),
        }
    }
}

/// The class of three bytes, by a multiplicative hash (the multiplier is 2^32 by the golden ratio).
fn class(three: u32) -> usize {
    (three.wrapping_mul(0x9e37_79b1) >> (32 - START_BITS)) as usize
}

/// How a keyword may begin: in one way, but a keyword of two bytes with any third.
fn starts_of(keyword: &[u8]) -> impl Iterator<Item = u32> {
    let three = first_three(keyword);
    let thirds = if keyword.len() < 3 { 0..32 } else { 0..1 };
    thirds.map(move |third| three | third << 16)
}

/// The first three bytes, folded, the missing ones zero.
fn first_three(text: &[u8]) -> u32 {
    text.iter().take(3).rev().fold(0, |three, &byte| three << 8 | u32::from(byte & 31))
}

/// Keywords are written in lower case, mostly: then there is nothing to do.
fn lower(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        text
    } else {
        text.to_lowercase().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks;
    use alloc::string::String;

    fn found(keywords: &[&str], text: &str) -> Vec<String> {
        let keywords = Keywords::new(keywords.iter().map(|&text| Cow::Owned(text.into())).collect(), Vec::new());
        let found = keywords.find(text, &marks::read(text));
        keywords.texts(&found, Kind::Complex).map(String::from).collect()
    }

    #[test]
    fn case_is_folded_as_in_python() {
        let table = [
            ("risk", "RIS\u{212A}", true),
            ("ski", "SK\u{130}", true),
            ("skip", "SK\u{130}P", false), // the dot comes between
            ("été", "L’ÉTÉ", true),
            ("ÉTÉ", "l’été", true),
            ("STRASSE", "straße", false),
            ("straße", "STRASSE", false),
            ("ΟΔΟΣ", "η οδος", true), // both have the final sigma
            ("größe", "GRÖSSE", false),
            ("dz", "Ǆ", false),
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}", false), // composed and not: other characters
        ];
        for (keyword, text, occurs) in table {
            assert_eq!(found(&[keyword], text).len(), usize::from(occurs), "{keyword} in {text}");
        }
    }

    #[test]
    fn places_and_overlaps() {
        assert_eq!(found(&["abc", "bcd", "cd"], "xABCDx"), ["abc", "bcd", "cd"]);
        assert_eq!(found(&["abc"], "abc"), ["abc"]);
        assert_eq!(found(&["abc"], "ab"), [""; 0]);
        assert_eq!(found(&["abc"], ""), [""; 0]);
        assert_eq!(found(&["abcdef", "bc"], "abcde"), ["bc"]);
        assert_eq!(found(&["aab"], "aaaab"), ["aab"]);
        assert_eq!(found(&["what is"], "what  is"), [""; 0]);
    }

    #[test]
    fn words_of_code_stand_alone_and_in_lower_case() {
        let keywords = Keywords::new(Vec::new(), Vec::new());
        let count = |text: &str| keywords.find(text, &marks::read(text)).count(Kind::Code);
        let table = [
            ("def class function import from", 5),
            ("undef classes Function _import from1", 0),
            ("defer a def", 1),
            ("def def", 1),
            ("Class; cla\u{17f}s", 0),
            ("class, and BU\u{130}LD, and Def", 1),
        ];
        for (text, words) in table {
            assert_eq!(count(text), words, "{text}");
        }
    }

    #[test]
    fn repetitions_count_once() {
        assert_eq!(found(&["Plan", "plan", "plan"], "plan a plan"), ["plan"]);
        assert_eq!(found(&["a", "", "plan"], "a plan"), ["plan"], "too short to be looked for");
    }

    proptest::proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            keywords in proptest::collection::vec("[abAké\u{130} ]{2,5}", 1..8),
            text in "[abABkKé\u{c9}\u{130}\u{212a} x]{0,60}",
        ) {
            let mut plain = Vec::new();
            for keyword in keywords.iter().map(|keyword| keyword.to_lowercase()) {
                if text.to_lowercase().contains(&keyword) && !plain.contains(&keyword) {
                    plain.push(keyword);
                }
            }
            let keywords: Vec<_> = keywords.iter().map(String::as_str).collect();
            proptest::prop_assert_eq!(found(&keywords, &text), plain);
        }
    }
}
