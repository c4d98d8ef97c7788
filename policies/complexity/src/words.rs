//! Finds whole words.

/// Whether a part of a text is a whole word: no word character is next to it, as with `\b` in a regular expression. The
/// part begins and ends with a word character.
pub(crate) fn stands_alone(text: &str, from: usize, end: usize) -> bool {
    !text[..from].chars().next_back().is_some_and(is_word) && !text[end..].chars().next().is_some_and(is_word)
}

/// Whether a character is part of a word: a letter, a digit or another number, or the underscore, as in Python's
/// regular expressions. One difference remains, which no prompt will show: vowel signs of Indic scripts and circled
/// letters count as letters here, and not in Python.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words() {
        let table = [
            ("def", true),
            (" def f", true),
            ("a-def.", true),
            ("—def—", true),
            ("undef", false),
            ("defer", false),
            ("_def", false),
            ("def_", false),
            ("def1", false),
            ("2def", false),
            ("édef", false),
            ("defé", false),
            ("def漢", false),
            ("def²", false),
            ("def😀", true),
            ("٣def", false),
        ];
        for (text, alone) in table {
            let from = text.find("def").unwrap();
            assert_eq!(stands_alone(text, from, from + 3), alone, "{text}");
        }
    }
}
