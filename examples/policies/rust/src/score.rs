//! How demanding a text is.

use wasmgate_policy::prelude::*;

/// A judgement and what it is made of.
pub struct Score {
    /// The sum, from 0 to 1.
    pub value: f64,
    pub length: f64,
    pub keywords: f64,
    pub code: f64,
    pub form: f64,
    /// The complex keywords that occur, in the order of the setting.
    pub complex: Vec<String>,
    /// Whether a simple one does.
    pub simple: bool,
}

/// Brackets, three backticks and these words, each by itself, are marks of code.
const CODE_WORDS: [&str; 5] = ["def", "class", "function", "import", "from"];

/// Judges a text. Both lists are in lower case, without repetitions.
pub fn score(text: &str, complex: &[String], simple: &[String]) -> Score {
    let lower = text.to_lowercase();
    let complex: Vec<String> = complex.iter().filter(|&keyword| lower.contains(keyword)).cloned().collect();
    let simple = simple.iter().any(|keyword| lower.contains(keyword));
    let length = match text.chars().count() {
        0..100 => 0.1,
        100..500 => 0.3,
        _ => 0.5,
    };
    let keywords = match (complex.len(), simple) {
        (0, true) => -0.1,
        (0, false) => 0.1,
        (found, _) => (found as f64 * 0.1).min(0.3),
    };
    let marks = [text.contains(['{', '}', '[', ']', '(', ')', ';']), text.contains("```")];
    let words = CODE_WORDS.iter().filter(|word| has_word(text, word));
    let code = if marks.iter().filter(|&&there| there).count() + words.count() >= 2 { 0.3 } else { 0.0 };
    let form = match text.matches('?').count() {
        1 | 2 => -0.1,
        _ if lower.contains("create") || lower.contains("build") => 0.2,
        _ => 0.0,
    };
    // In this order: sums of doubles depend on it.
    let value = (length + keywords + code + form).clamp(0.0, 1.0);
    Score { value, length, keywords, code, form, complex, simple }
}

/// Whether a word occurs with no letter, digit or `_` right before or after it.
fn has_word(text: &str, word: &str) -> bool {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(in_word)
            && !text[at + word.len()..].chars().next().is_some_and(in_word)
    })
}
