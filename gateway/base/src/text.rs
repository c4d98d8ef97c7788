//! The text of a file that people write: UTF-8, with or without a byte order mark; else what the bytes are instead.

use std::fmt;

/// A file that is no UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText {
    /// The line, from 1, in which that shows; `None` if it is not one place.
    pub line: Option<usize>,
    /// What was found.
    pub found: String,
    /// What to do.
    pub expected: &'static str,
}

/// As in `line 3: the byte 0xfc, which is not UTF-8 (…), expected UTF-8; save the file in this encoding`.
impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}, expected {}", self.found, self.expected)
    }
}

/// The text, without the byte order mark that some editors put in front of it.
///
/// # Errors
/// If the bytes are not UTF-8, or hold a zero byte.
pub fn of_bytes(bytes: &[u8]) -> Result<&str, NotText> {
    utf8(bytes).map(|text| text.trim_start_matches('\u{feff}'))
}

/// The text as it is.
///
/// # Errors
/// As `of_bytes`.
pub fn utf8(bytes: &[u8]) -> Result<&str, NotText> {
    const SAVE: &str = "UTF-8; save the file in this encoding";
    let is = |line, found: &str, expected| Err(NotText { line, found: found.to_owned(), expected });
    if is_utf16(bytes) {
        return is(None, "text in UTF-16", SAVE);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => is(None, "a binary file", "a text"),
        Ok(text) => Ok(text),
        Err(_) if bytes.contains(&0) => is(None, "a binary file", "a text"),
        Err(error) => {
            let at = error.valid_up_to();
            let line = bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let byte = bytes.get(at).copied().unwrap_or_default();
            let found =
                format!("the byte 0x{byte:02x}, which is not UTF-8 (the file may be in Latin-1 or Windows-1252)");
            is(Some(line), &found, SAVE)
        }
    }
}

/// Whether bytes look like UTF-16: by their mark, or because every second byte is mostly zero and no other is.
fn is_utf16(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(64)];
    let zeros = |odd: usize| begin.iter().skip(odd).step_by(2).filter(|&&byte| byte == 0).count();
    let mostly = |zeros: usize| zeros * 3 > begin.len();
    bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || (mostly(zeros(1)) && zeros(0) == 0)
        || (mostly(zeros(0)) && zeros(1) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_for_what_it_is() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let swapped = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        for (bytes, line, found) in [
            (utf16("fn route() {}"), None, "text in UTF-16"),
            (swapped("fn route() {}"), None, "text in UTF-16"),
            (
                b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0\x80\xff\0\0\0\0".to_vec(),
                None,
                "a binary file",
            ),
            (b"one\0two".to_vec(), None, "a binary file"),
            (b"one\nGr\xfc\xdfe".to_vec(), Some(2), "the byte 0xfc"),
        ] {
            let not = of_bytes(&bytes).expect_err(found);
            assert!(not.line == line && not.found.starts_with(found), "{not}");
        }
        assert_eq!(of_bytes("\u{feff}é".as_bytes()), Ok("é"));
        assert_eq!(utf8("\u{feff}é".as_bytes()), Ok("\u{feff}é"));
        assert_eq!(of_bytes(b""), Ok(""));
    }
}
