//! Percent-encoded text in paths and queries.

/// The value of a parameter, decoded; `None` if there is none, or if it is not UTF-8.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| *key == name).and_then(|(_, value)| decoded(&value.replace('+', " ")))
}

/// A text without its percent-encoding; `None` if that is broken, or the result is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(piece.get(..2).filter(|hex| !hex.starts_with('+'))?, 16).ok()?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_is_decoded() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("qwen2.5%3A7b", Some("qwen2.5:7b")),
            ("org%2Fmodel%20x", Some("org/model x")),
            ("%C3%A9", Some("é")),
            ("a+b", Some("a+b")),
            ("%", None),
            ("%4", None),
            ("%+1", None),
            ("%zz", None),
            ("%C3", None),
            ("%é", None),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
        assert_eq!(parameter(Some("limit=5&after_id=a%2Fb"), "after_id").as_deref(), Some("a/b"));
        assert_eq!(parameter(Some("limit"), "limit").as_deref(), Some(""));
        assert_eq!(parameter(None, "limit"), None);
    }
}
