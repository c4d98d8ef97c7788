//! Finds many keywords in one pass over a text, whatever their case.
//!
//! Case is folded as Python's `str.lower` does, over all of Unicode: a keyword occurs where its lower
//! case is a part of the text's lower case. Lowering a whole text would cost more than all the rest, and
//! is left out where it cannot matter. With keywords of ASCII alone, as by default, it is two rare
//! letters that can matter; for all other texts comparing without regard to ASCII case is the same.
//!
//! Where three letters do not begin a keyword nothing is compared: `groups` says of sixteen places at once at which they may.
//! What it goes by is a hundred bytes, made anew in each instance, where an automaton for as many words has far larger tables.

use crate::groups::Groups;
use crate::marks::Marks;
use crate::words;
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

extern crate alloc;

/// The shortest keyword, in bytes.
pub(crate) const SHORTEST: usize = 2;

/// Asking for something to be made, whatever the keywords of the settings.
const CREATION: [&str; 2] = ["create", "build"];

/// Words that are marks of code: by themselves and in lower case.
const CODE: [&str; 5] = ["def", "class", "function", "import", "from"];

/// How many letters are told apart where case is not: the lowest five bits of each.
const LETTERS: usize = 32;

/// A set of keywords, ready to search.
pub(crate) struct Keywords {
    list: Vec<Keyword>,
    groups: Groups<3>,
    /// The keywords by their start, ascending.
    by_start: Vec<Start>,
    /// For each letter where in `by_start` those begin that begin with it; at last where all end.
    letters: [u32; LETTERS + 1],
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

/// How a keyword begins.
struct Start {
    /// See `first_three`.
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
            by_start.extend(starts_of(keyword.text.as_bytes()).map(|three| Start { three, keyword: at as u16 }));
        }
        by_start.sort_unstable_by_key(|start| start.three);
        let mut letters = [0; LETTERS + 1];
        for start in &by_start {
            letters[first(start.three) + 1] += 1;
        }
        for letter in 0..LETTERS {
            letters[letter + 1] += letters[letter];
        }
        let mut groups = Groups::new();
        for (rank, start) in by_start.iter().enumerate() {
            // Neighbours have letters in common, so that few other letters mix with theirs.
            let group = 1 << (8 * rank / by_start.len());
            add(&mut groups, group, list[usize::from(start.keyword)].text.as_bytes());
        }
        let beyond_ascii = list.iter().any(|keyword| !keyword.text.is_ascii());
        Self { list, groups, by_start, letters, beyond_ascii }
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
        self.groups.find(text.as_bytes(), |at| self.compare(text, at, &wanted, found));
    }

    /// The found keywords of a kind, in the order of their list.
    pub(crate) fn texts<'a>(&'a self, found: &'a Found, kind: Kind) -> impl Iterator<Item = &'a str> {
        let seen = self.list.iter().zip(&found.seen).filter(move |(keyword, seen)| **seen && keyword.kind == kind);
        seen.map(|(keyword, _)| &*keyword.text)
    }

    /// Notes the wanted keywords at a place of the text.
    fn compare(&self, text: &str, at: usize, wanted: impl Fn(Kind) -> bool, found: &mut Found) {
        let three = first_three(&text.as_bytes()[at..]);
        let letter = first(three);
        for start in &self.by_start[self.letters[letter] as usize..self.letters[letter + 1] as usize] {
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
            _ => part.iter().zip(self.text.as_bytes()).all(|(byte, wanted)| byte.to_ascii_lowercase() == *wanted),
        }
    }
}

/// Adds a keyword to a group, whatever the case of its letters.
fn add(groups: &mut Groups<3>, group: u8, keyword: &[u8]) {
    for place in 0..3 {
        match keyword.get(place) {
            Some(byte) => {
                groups.add(group, place, byte.to_ascii_lowercase());
                groups.add(group, place, byte.to_ascii_uppercase());
            }
            // Any byte may follow on a keyword of two.
            None => (0..16).for_each(|half| groups.add(group, place, half << 4 | half)),
        }
    }
}

/// How a keyword may begin: in one way, but a keyword of two bytes with any third.
fn starts_of(keyword: &[u8]) -> impl Iterator<Item = u32> {
    let three = first_three(keyword);
    let thirds = if keyword.len() < 3 { 0..LETTERS as u32 } else { 0..1 };
    thirds.map(move |third| three | third)
}

/// The first three bytes, of which the cases of letters are alike, the missing ones zero: the first is the most significant.
fn first_three(text: &[u8]) -> u32 {
    let three = match *text {
        [first, second, third, ..] => [0, first, second, third],
        [first, second] => [0, first, second, 0],
        [first] => [0, first, 0, 0],
        [] => [0; 4],
    };
    u32::from_be_bytes(three) & 0x1f_1f1f
}

/// The first of three bytes.
fn first(three: u32) -> usize {
    (three >> 16) as usize % LETTERS
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
