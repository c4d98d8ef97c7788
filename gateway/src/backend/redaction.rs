//! What a client may read of a backend's sentence: one bounded line without keys and without the gateway's own addresses.

use std::borrow::Cow;

/// Longest message of a provider that a client gets, in characters.
const MAX_MESSAGE: usize = 500;
/// How keys of well-known providers begin.
const KEYS: [&str; 3] = ["sk-", "AIza", "xai-"];
/// Shortest word that counts as a key of a well-known provider.
const SHORTEST_KEY: usize = 9;

/// What is taken out of sentences.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    /// The gateway's key for the backend, which some backends repeat in their errors, the backend's host, and the operator's
    /// secret headers and proxy credentials.
    secrets: Vec<String>,
}

impl Redaction {
    /// Takes out these texts; empty ones do not count.
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self { secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect() }
    }

    /// Whether a text has none of them.
    pub(super) fn allows(&self, text: &str) -> bool {
        !self.secrets.iter().any(|secret| text.contains(secret))
    }

    /// The sentence as a client may read it. `None` if there is none.
    pub(super) fn sentence(&self, message: &str) -> Option<String> {
        // A secret of several words would pass the look at each word.
        let long = self.secrets.iter().filter(|secret| secret.contains(char::is_whitespace));
        let message = long.fold(Cow::Borrowed(message), |message, secret| match message.contains(secret.as_str()) {
            true => message.replace(secret.as_str(), "[removed]").into(),
            false => message,
        });
        let words = message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let shown = |word| if self.allows(word) && !has_key(word) { word } else { "[removed]" };
        let mut said = String::new();
        for word in words.map(shown) {
            if !said.is_empty() {
                said.push(' ');
            }
            said.push_str(word);
            if let Some((end, _)) = said.char_indices().nth(MAX_MESSAGE) {
                said.truncate(end);
                said.push('…');
                break;
            }
        }
        (!said.is_empty()).then_some(said)
    }
}

/// Whether a word holds what looks like a key.
fn has_key(word: &str) -> bool {
    let begins = |at: usize| !word[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_key = |at: usize| {
        let key = word[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*')).count();
        begins(at) && key >= SHORTEST_KEY
    };
    KEYS.iter().any(|start| word.match_indices(start).any(|(at, _)| is_key(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_one_bounded_line_without_keys_and_addresses() {
        let redaction = Redaction::new(["secret-1".to_owned(), String::new(), "models.internal".to_owned()]);
        let read = |message: &str| redaction.sentence(message);
        let words = Redaction::new(["of two  words".to_owned()]);
        assert_eq!(words.sentence("a secret of two  words here").as_deref(), Some("a secret [removed] here"));
        assert_eq!(read("a\nb\u{1b} c").as_deref(), Some("a b c"));
        assert_eq!(
            read("key 'secret-1', sk-abcdefghij, key=sk-abcdefghij and risk-free").as_deref(),
            Some("key [removed] [removed] [removed] and risk-free")
        );
        assert_eq!(read("see http://models.internal:8000/v1").as_deref(), Some("see [removed]"));
        assert_eq!(read(""), None);
        assert_eq!(read(&"ä".repeat(600)).map(|text| text.chars().count()), Some(501));
        assert_eq!(read(&"ä ".repeat(600)).map(|text| text.chars().count()), Some(501));
    }
}
