//! One pass over a text for all that is a single character: brackets and backticks, question marks, and
//! the letters that matter to `keywords`.
//!
//! A table by byte says which bytes are worth a look. Eight at a time are looked up and judged by one
//! branch: a guest pays for every turn of a loop, as that is where its host may interrupt it.

use core::ops::Range;

/// What the pass saw.
pub(crate) struct Marks {
    /// Whether there is one of `{ } [ ] ( ) ;`.
    pub(crate) brackets: bool,
    /// Whether there are three backticks in a row.
    pub(crate) backticks: bool,
    /// How many question marks there are.
    pub(crate) questions: usize,
    /// Whether there is anything but ASCII.
    pub(crate) beyond_ascii: bool,
    /// Whether there is a letter outside of ASCII whose lower case is, or begins with, an ASCII letter.
    pub(crate) folds_to_ascii: bool,
}

/// The capital I with a dot above, and the Kelvin sign. No others: a test asks all of Unicode.
const FOLD_TO_ASCII: [&str; 2] = ["\u{130}", "\u{212A}"];

// Bits of the table.
const BRACKET: u8 = 1;
const BACKTICK: u8 = 1 << 1;
const QUESTION: u8 = 1 << 2;
const BEYOND_ASCII: u8 = 1 << 3;
/// The first byte of a letter in `FOLD_TO_ASCII`.
const FOLD: u8 = 1 << 4;

const TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0x80;
    while byte < table.len() {
        table[byte] = BEYOND_ASCII;
        byte += 1;
    }
    let mut at = 0;
    while at < FOLD_TO_ASCII.len() {
        table[FOLD_TO_ASCII[at].as_bytes()[0] as usize] |= FOLD;
        at += 1;
    }
    let brackets = b"{}[]();";
    let mut at = 0;
    while at < brackets.len() {
        table[brackets[at] as usize] = BRACKET;
        at += 1;
    }
    table[b'`' as usize] = BACKTICK;
    table[b'?' as usize] = QUESTION;
    table
}

/// Reads the marks of a text.
pub(crate) fn read(text: &str) -> Marks {
    let text = text.as_bytes();
    let mut marks =
        Marks { brackets: false, backticks: false, questions: 0, beyond_ascii: false, folds_to_ascii: false };
    // Once there is a bracket the pass no longer looks at others: code is full of them.
    let mut watch = u8::MAX;
    let (eights, rest) = text.as_chunks::<8>();
    for (eight, bytes) in eights.iter().enumerate() {
        let any = bytes.iter().fold(0, |any, &byte| any | TABLE[usize::from(byte)]);
        if any & watch != 0 {
            marks.look(text, eight * 8..eight * 8 + 8);
            watch = if marks.brackets { !BRACKET } else { u8::MAX };
        }
    }
    marks.look(text, text.len() - rest.len()..text.len());
    marks
}

impl Marks {
    /// Looks at each byte of a range.
    fn look(&mut self, text: &[u8], range: Range<usize>) {
        for at in range {
            let begins = |other: &str| text[at..].starts_with(other.as_bytes());
            match TABLE[usize::from(text[at])] {
                0 => {}
                BRACKET => self.brackets = true,
                BACKTICK => self.backticks |= begins("```"),
                QUESTION => self.questions += 1,
                class => {
                    self.beyond_ascii = true;
                    self.folds_to_ascii |= class & FOLD != 0 && FOLD_TO_ASCII.iter().any(|letter| begins(letter));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;

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
}
