//! Finds many keywords in one pass over a text, ignoring case.
//!
//! Case folding follows Python's `str.lower`, over all of Unicode: a keyword occurs if its lower case is part of the
//! text's lower case. Lowering a whole text would cost more than all other work, so it is skipped if it cannot matter.
//! With ASCII keywords only, which is the default, just two rare letters can matter; for all other texts, a comparison
//! that ignores ASCII case gives the same result.
//!
//! Text is compared only where three letters may begin a keyword; `groups` checks sixteen positions at once. Each
//! instance builds its own tables: a hundred bytes for the groups, and two kilobytes by the first two letters. An
//! automaton for as many words would have far larger tables.

use crate::groups::Groups;
use crate::marks::{self, Marks};
use crate::words;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

extern crate alloc;

/// Minimum length of a keyword, in bytes.
pub(crate) const SHORTEST: usize = 2;

/// Words that ask to create something, independent of the settings' keywords.
const CREATION: [&str; 2] = ["create", "build"];

/// Words that mark code if they stand alone and in lower case.
const CODE: [&str; 5] = ["def", "class", "function", "import", "from"];

/// The bit that distinguishes capital letters, in each of four bytes.
const CASE: u32 = 0x2020_2020;

/// How many pairs of letters are distinguished, ignoring case.
const PAIRS: usize = 1 << 10;

/// A set of keywords, ready to search.
pub(crate) struct Keywords {
    list: Vec<Keyword>,
    groups: Groups<3>,
    /// The keywords by their first two letters, ascending.
    by_pair: Vec<Entry>,
    /// For each pair: 0 if no keyword begins with it, else 1 + the index of its first keyword in `by_pair`.
    pairs: Box<[u16; PAIRS]>,
    /// Whether a keyword has non-ASCII characters.
    beyond_ascii: bool,
}

/// What a keyword shows about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The text is demanding.
    Complex,
    /// The text is not demanding.
    Simple,
    /// The text asks to create something.
    Creation,
    /// The text contains code.
    Code,
}

struct Keyword {
    /// In lower case, at least two bytes.
    text: Cow<'static, str>,
    kind: Kind,
}

/// How a keyword begins.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Its first two letters.
    pair: u16,
    /// Its index in the list.
    place: u16,
    /// Its first four bytes with the bit set that tells cases apart, and which of them it has.
    head: u32,
    mask: u32,
}

/// The keywords that a text contains.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// By index in the list.
    seen: Vec<bool>,
    /// By kind.
    counts: [usize; 4],
}

impl Found {
    /// How many keywords of a kind were found, each counted once.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize]
    }
}

impl Keywords {
    /// Prepares a search. It ignores keywords of less than two bytes, repetitions, and all beyond the 65,535th, which
    /// no operator's list reaches.
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
        let places = list.iter().enumerate();
        let mut by_pair: Vec<_> = places.map(|(place, keyword)| Entry::new(&keyword.text, place as u16)).collect();
        by_pair.sort_unstable();
        let (mut groups, mut pairs) = (Groups::new(), Box::new([0; PAIRS]));
        for (rank, &Entry { pair, place, .. }) in by_pair.iter().enumerate().rev() {
            pairs[usize::from(pair)] = rank as u16 + 1;
            // Neighbours have letters in common, so that a group mixes few other letters.
            let group = 1 << (8 * rank / by_pair.len());
            add(&mut groups, group, list[usize::from(place)].text.as_bytes());
        }
        let beyond_ascii = list.iter().any(|keyword| !keyword.text.is_ascii());
        Self { list, groups, by_pair, pairs, beyond_ascii }
    }

    /// The keywords that occur in a text with these marks.
    pub(crate) fn find(&self, text: &str, marks: &Marks) -> Found {
        let mut found = Found { seen: vec![false; self.list.len()], counts: [0; 4] };
        let lower = self.beyond_ascii && marks.beyond_ascii;
        if marks.folds_to_ascii || lower {
            // Words of code are searched in the text's own case.
            self.search(text, |kind| kind == Kind::Code, &mut found);
            let text = if lower { text.to_lowercase() } else { marks::fold(text) };
            self.search(&text, |kind| kind != Kind::Code, &mut found);
        } else {
            self.search(text, |_| true, &mut found);
        }
        found
    }

    fn search(&self, text: &str, wanted: impl Fn(Kind) -> bool, found: &mut Found) {
        self.groups.find(text.as_bytes(), |at| self.compare(text, at, &wanted, found));
    }

    /// The found keywords of a kind, in the order of their list.
    pub(crate) fn texts<'a>(&'a self, found: &'a Found, kind: Kind) -> impl Iterator<Item = &'a str> {
        let seen = self.list.iter().zip(&found.seen).filter(move |(keyword, seen)| **seen && keyword.kind == kind);
        seen.map(|(keyword, _)| &*keyword.text)
    }

    /// Records the wanted keywords at a position of the text.
    fn compare(&self, text: &str, at: usize, wanted: impl Fn(Kind) -> bool, found: &mut Found) {
        let pair = pair(&text.as_bytes()[at..]);
        let Some(first) = usize::from(self.pairs[usize::from(pair)]).checked_sub(1) else { return };
        // At the end of the text there may be no four bytes: then nothing is ruled out early.
        let head = text.as_bytes()[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes) | CASE);
        for entry in self.by_pair[first..].iter().take_while(|entry| entry.pair == pair) {
            // Most places of a text that is made of beginnings of keywords are ruled out here.
            if head.is_some_and(|head| head & entry.mask != entry.head) {
                continue;
            }
            let (keyword, seen) = (&self.list[usize::from(entry.place)], &mut found.seen[usize::from(entry.place)]);
            if !*seen && wanted(keyword.kind) && keyword.is_at(text, at) {
                *seen = true;
                found.counts[keyword.kind as usize] += 1;
            }
        }
    }
}

impl Entry {
    fn new(text: &str, place: u16) -> Self {
        let mut head = [0; 4];
        let mut mask = [0; 4];
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(text.bytes()) {
            (*head, *mask) = (byte, u8::MAX);
        }
        let mask = u32::from_le_bytes(mask);
        Self { pair: pair(text.as_bytes()), place, head: (u32::from_le_bytes(head) | CASE) & mask, mask }
    }
}

impl Keyword {
    fn is_at(&self, text: &str, at: usize) -> bool {
        let end = at + self.text.len();
        let Some(part) = text.as_bytes().get(at..end) else { return false };
        match self.kind {
            // Words of code are ASCII, so they begin and end between characters.
            Kind::Code => part == self.text.as_bytes() && words::stands_alone(text, at, end),
            _ => part.eq_ignore_ascii_case(self.text.as_bytes()),
        }
    }
}

/// Adds a keyword to a group, with both cases of its letters.
fn add(groups: &mut Groups<3>, group: u8, keyword: &[u8]) {
    for place in 0..3 {
        match keyword.get(place) {
            Some(byte) => {
                groups.add(group, place, byte.to_ascii_lowercase());
                groups.add(group, place, byte.to_ascii_uppercase());
            }
            // Any byte may follow a keyword of two bytes.
            None => groups.add_any(group, place),
        }
    }
}

/// The first two letters of a text, ignoring case: the lowest five bits of each, 0 for a missing one.
fn pair(text: &[u8]) -> u16 {
    let letter = |place: usize| text.get(place).map_or(0, |byte| u16::from(byte & 31));
    letter(0) << 5 | letter(1)
}

/// Lowers a keyword. Most keywords are in lower case already.
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
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}", false), // composed and decomposed: different characters
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
