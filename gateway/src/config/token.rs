//! The operators' bearer token. The gateway keeps only its SHA-256 and compares in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Minimum of characters; shorter tokens can be guessed.
const MIN_CHARS: usize = 16;

/// The token that operators must send. Its debug output never shows it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// A token from its text, without surrounding white space.
    ///
    /// # Errors
    /// If it is shorter than 16 characters, or has characters that a header cannot carry.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token has characters other than visible ASCII, which a header cannot carry".into());
        }
        if text.len() < MIN_CHARS {
            return Err(format!("the token has {} characters, expected at least {MIN_CHARS}", text.len()));
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Whether `shown` is the token. Comparing digests keeps even the length out of the timing.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_slice().ct_eq(Sha256::digest(shown).as_slice()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0", "0123456789abcdef\n"] {
            assert!(!token.is(wrong.as_bytes()), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "(secret)");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        assert!(Token::new("short").unwrap_err().contains("5 characters, expected at least 16"));
        assert!(Token::new("").unwrap_err().contains("0 characters"));
        for unsendable in ["0123456789 abcdef", "0123456789abcdéf", "0123456789\u{7f}abcdef"] {
            assert!(Token::new(unsendable).unwrap_err().contains("visible ASCII"), "{unsendable:?}");
        }
    }
}
