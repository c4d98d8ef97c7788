//! Scans a text once for single characters: brackets and backticks, question marks, and the letters that matter to
//! `keywords`.

use crate::groups::Groups;
use alloc::string::String;

extern crate alloc;

/// What the scan found.
pub(crate) struct Marks {
    /// Whether there is one of `{ } [ ] ( ) ;`.
    pub(crate) brackets: bool,
    /// Whether there are three backticks in a row.
    pub(crate) backticks: bool,
    /// How many question marks there are.
    pub(crate) questions: usize,
    /// Whether there is a non-ASCII character.
    pub(crate) beyond_ascii: bool,
    /// Whether there is a letter outside of ASCII whose lower case is, or begins with, an ASCII letter.
    pub(crate) folds_to_ascii: bool,
}

/// The capital I with a dot above, and the Kelvin sign. There are no others: a test checks all of Unicode.
const FOLD_TO_ASCII: [&str; 2] = ["\u{130}", "\u{212A}"];
/// Their first bytes.
const FOLD_BEGIN: [u8; 2] = [FOLD_TO_ASCII[0].as_bytes()[0], FOLD_TO_ASCII[1].as_bytes()[0]];
/// Their lower case.
const FOLDED: [&str; 2] = ["i\u{307}", "k"];

/// `FOLD_TO_ASCII`, each in a group of its own, so that nothing else is found. Any byte may follow the first, which has two.
const FOLDS: Groups<3> = {
    let mut folds = Groups::new();
    let mut letter = 0;
    while letter < FOLD_TO_ASCII.len() {
        let bytes = FOLD_TO_ASCII[letter].as_bytes();
        let mut place = 0;
        while place < 3 {
            if place < bytes.len() {
                folds.add(1 << letter, place, bytes[place]);
            } else {
                folds.add_any(1 << letter, place);
            }
            place += 1;
        }
        letter += 1;
    }
    folds
};

/// The bytes of each kind of mark, in groups whose half-bytes combine to no other byte.
const MARKS: Groups<1> = {
    let mut marks = Groups::new();
    let groups: [(u8, &[u8]); 5] =
        [(BRACKETS, b"{}[]"), (BRACKETS << 1, b"()"), (BRACKETS << 2, b";"), (BACKTICK, b"`"), (QUESTION, b"?")];
    let mut group = 0;
    while group < groups.len() {
        let mut at = 0;
        while at < groups[group].1.len() {
            marks.add(groups[group].0, 0, groups[group].1[at]);
            at += 1;
        }
        group += 1;
    }
    marks
};

/// The first of three groups of brackets.
const BRACKETS: u8 = 1;
const BACKTICK: u8 = 8;
const QUESTION: u8 = 16;

/// Reads the marks of a text: a bit mask of each kind for sixteen bytes at once, so that no text costs more than another.
pub(crate) fn read(text: &str) -> Marks {
    let bytes = text.as_bytes();
    let mut marks =
        Marks { brackets: false, backticks: false, questions: 0, beyond_ascii: false, folds_to_ascii: false };
    // The backticks among the last two bytes of the window before.
    let mut before = 0;
    MARKS.windows(bytes, |window| {
        marks.brackets |= window.of(BRACKETS | BRACKETS << 1 | BRACKETS << 2) != 0;
        marks.questions += window.of(QUESTION).count_ones() as usize;
        marks.beyond_ascii |= window.beyond_ascii() != 0;
        let ticks = u32::from(window.of(BACKTICK)) << 2 | before;
        marks.backticks |= ticks & ticks >> 1 & ticks >> 2 != 0;
        before = ticks >> 16;
    });
    if marks.beyond_ascii {
        FOLDS.find(bytes, |_| marks.folds_to_ascii = true);
    }
    marks
}

/// A text with the letters whose lower case begins with an ASCII letter in lower case. Linear, and without the tables of all of
/// Unicode.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + text.len() / 2);
    let (mut from, mut at) = (0, 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        let letter = (0..2).find(|&which| byte == FOLD_BEGIN[which] && text[at..].starts_with(FOLD_TO_ASCII[which]));
        match letter {
            Some(which) => {
                folded.push_str(&text[from..at]);
                folded.push_str(FOLDED[which]);
                at += FOLD_TO_ASCII[which].len();
                from = at;
            }
            None => at += 1,
        }
    }
    folded.push_str(&text[from..]);
    folded
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn folding_lowers_these_letters_alone() {
        for text in ["", "\u{130}\u{130}x", "a\u{212A}", "İstanbul, 273 \u{212A}", "漢Ä\u{2128}"] {
            assert_eq!(fold(text).to_lowercase(), text.to_lowercase(), "{text}");
            assert!(!FOLD_TO_ASCII.iter().any(|letter| fold(text).contains(letter)), "{text}");
        }
    }

    #[test]
    fn only_these_letters_fold_to_ascii() {
        let folding = (char::MIN..=char::MAX)
            .filter(|letter| !letter.is_ascii() && letter.to_lowercase().any(|lower| lower.is_ascii()));
        assert_eq!(folding.collect::<String>(), FOLD_TO_ASCII.concat());
    }

    #[test]
    fn brackets_and_backticks() {
        for text in ["{", "}", "[", "]", "(", ")", ";", "a longer text with one (far in"] {
            assert!(read(text).brackets, "{text}");
        }
        for (text, backticks) in [("```", true), ("``", false), ("`` `", false), ("0123456```", true), ("````", true)] {
            assert_eq!((read(text).backticks, read(text).brackets), (backticks, false), "{text}");
        }
    }

    #[test]
    fn questions_are_counted_to_the_end() {
        assert_eq!(read("def f(): ? ; ? class ?").questions, 3);
        assert_eq!(read("？").questions, 0, "the full-width mark is another character");
    }

    #[test]
    fn letters_beyond_ascii() {
        for (text, beyond, folds) in [("k", false, false), ("é", true, false), ("“", true, false), ("ĳ", true, false)]
        {
            let marks = read(text);
            assert_eq!((marks.beyond_ascii, marks.folds_to_ascii), (beyond, folds), "{text}");
        }
        assert!(read("def class \u{212A}").folds_to_ascii);
        assert!(read("\u{130}").folds_to_ascii);
    }

    proptest::proptest! {
        #[test]
        fn reads_what_a_plain_search_reads(text in "[a`?;{(é漢İ\u{212A}℀ ]{0,50}") {
            let marks = read(&text);
            proptest::prop_assert_eq!(marks.brackets, text.contains(['{', '}', '[', ']', '(', ')', ';']));
            proptest::prop_assert_eq!(marks.backticks, text.contains("```"));
            proptest::prop_assert_eq!(marks.questions, text.matches('?').count());
            proptest::prop_assert_eq!(marks.beyond_ascii, !text.is_ascii());
            let folds = FOLD_TO_ASCII.iter().any(|letter| text.contains(letter));
            proptest::prop_assert_eq!(marks.folds_to_ascii, folds);
        }
    }
}
