//! Scores how demanding a text is: a sum of four contributions, from 0 to 1.
//!
//! The sum adds IEEE doubles in a fixed order, and thresholds are compared exactly: 0.1 + 0.2 is above 0.3 on every
//! machine.

use crate::keywords::{Found, Keywords, Kind};
use crate::marks::{self, Marks};
use alloc::borrow::Cow;
use alloc::vec::Vec;

extern crate alloc;

/// Scores texts with a set of keywords.
pub struct Scorer {
    keywords: Keywords,
}

/// A score and its contributions.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The sum, clamped to 0 to 1.
    pub value: f64,
    /// The contribution of the text's length.
    pub length: f64,
    /// The keywords that count.
    pub keywords: KeywordShare,
    /// The contribution of code.
    pub code: f64,
    /// Whether it is a question or asks to create something.
    pub form: Form,
    found: Found,
}

/// The keywords that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordShare {
    /// This many complex keywords, at least one.
    Complex(usize),
    /// No complex keyword, but a simple one.
    Simple,
    /// Neither.
    None,
}

/// The kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One or two question marks.
    Question,
    /// Not a question; asks to create or build.
    Creation,
    /// Neither.
    Other,
}

impl Scorer {
    /// A scorer for these keywords; each is counted once, however often it is listed or occurs.
    pub fn new(complex: Vec<Cow<'static, str>>, simple: Vec<Cow<'static, str>>) -> Self {
        Self { keywords: Keywords::new(complex, simple) }
    }

    /// Scores one text.
    pub fn score(&self, text: &str) -> Score {
        let marks = marks::read(text);
        let found = self.keywords.find(text, &marks);
        let keywords = match (found.count(Kind::Complex), found.count(Kind::Simple)) {
            (0, 0) => KeywordShare::None,
            (0, _) => KeywordShare::Simple,
            (n, _) => KeywordShare::Complex(n),
        };
        let form = match marks.questions {
            1 | 2 => Form::Question,
            _ if found.count(Kind::Creation) > 0 => Form::Creation,
            _ => Form::Other,
        };
        let length = length(text, &marks);
        let code = code(&marks, found.count(Kind::Code));
        let sum = length + keywords.contribution() + code + form.contribution();
        Score { value: sum.clamp(0.0, 1.0), length, keywords, code, form, found }
    }

    /// The complex keywords that a score found, in the order of their list.
    pub fn complex_keywords<'a>(&'a self, score: &'a Score) -> impl Iterator<Item = &'a str> {
        self.keywords.texts(&score.found, Kind::Complex)
    }
}

impl KeywordShare {
    /// Its contribution to the score.
    pub fn contribution(self) -> f64 {
        match self {
            Self::Complex(n) => (n as f64 * 0.1).min(0.3),
            Self::Simple => -0.1,
            Self::None => 0.1,
        }
    }

    /// Its word in the reason: "… keywords".
    pub fn word(self) -> &'static str {
        match self {
            Self::Complex(_) => "complex",
            Self::Simple => "simple",
            Self::None => "no",
        }
    }
}

impl Form {
    /// Its contribution to the score.
    pub fn contribution(self) -> f64 {
        match self {
            Self::Question => -0.1,
            Self::Creation => 0.2,
            Self::Other => 0.0,
        }
    }

    /// Its word in the reason.
    pub fn word(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Creation => "creation",
            Self::Other => "",
        }
    }
}

/// The contribution of a length in Unicode scalar values: below 100, below 500, or more.
fn length(text: &str, marks: &Marks) -> f64 {
    // A scalar value has one to four bytes, so that only texts between these bounds need counting, if they are not ASCII.
    let scalars = match text.len() {
        bytes @ 0..100 => bytes,
        2000.. => 500,
        bytes if !marks.beyond_ascii => bytes,
        _ => text.chars().count(),
    };
    match scalars {
        0..100 => 0.1,
        100..500 => 0.3,
        _ => 0.5,
    }
}

/// The contribution of code. A text with two of the seven marks is code: brackets, backticks and five words.
fn code(marks: &Marks, words: usize) -> f64 {
    let count = usize::from(marks.brackets) + usize::from(marks.backticks) + words;
    if count >= 2 { 0.3 } else { 0.0 }
}
