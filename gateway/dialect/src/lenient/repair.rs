//! JSON as some servers write it, made what the standard wants: the official SDKs read it, other parsers do not.

/// `text` with `null` for `NaN` and infinite numbers, and with U+FFFD for halves of surrogate pairs and for bytes that are not
/// UTF-8. `None` if there is none of them.
pub(crate) fn repaired(text: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (&*text, false);
    while let Some(first) = rest.chars().next() {
        let (taken, written) = match first {
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            '\\' if in_string => escape(rest),
            'N' | 'I' | '-' if !in_string => not_a_number(rest),
            other => (other.len_utf8(), None),
        };
        out.push_str(written.unwrap_or(&rest[..taken]));
        rest = &rest[taken..];
    }
    let bytes = out.into_bytes();
    (bytes != *text.as_bytes() || matches!(text, std::borrow::Cow::Owned(_))).then_some(bytes)
}

/// The length of the escape at the beginning of `rest`, and what is written instead of it.
fn escape(rest: &str) -> (usize, Option<&'static str>) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
        (Some(0xd800..=0xdfff), _) => (6, Some("\u{fffd}")),
        // The backslash and what it escapes.
        _ => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), None),
    }
}

fn not_a_number(rest: &str) -> (usize, Option<&'static str>) {
    let word = ["NaN", "-Infinity", "Infinity", "-NaN"].into_iter().find(|word| rest.starts_with(word));
    word.map_or((1, None), |word| (word.len(), Some("null")))
}
