//! Finds numbers in sentences.

/// The number that follows the first of `phrases` in `text`, with nothing but spaces and punctuation between.
pub(super) fn after(text: &str, phrases: &[&str]) -> Option<u64> {
    phrases.iter().find_map(|phrase| {
        let rest = &text[text.find(phrase)? + phrase.len()..];
        let rest = rest.trim_start_matches([' ', '(', ':', '`', '\'', '"', '=', '~']);
        read(&rest[..digits(rest)])
    })
}

/// The number right before the first of `phrases` in `text`.
pub(super) fn before(text: &str, phrases: &[&str]) -> Option<u64> {
    phrases.iter().find_map(|phrase| {
        let head = text[..text.find(phrase)?].trim_end();
        let start =
            head.rfind(|c: char| !is_digit(c)).map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8));
        read(&head[start..])
    })
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !is_digit(c)).unwrap_or(text.len())
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == ','
}

fn read(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}
