//! The text of a key, and the hash by which the gateway knows it. Keys are random, so one round of SHA-256 is enough: nobody
//! can guess 256 bits. A key is found by its hash; how long that takes says nothing about the keys that there are.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmgate_base::digest::hex;

/// What each key begins with, so that people and secret scanners recognise one.
pub const PREFIX: &str = "wg-";

/// The text of a new key: the prefix and 64 hexadecimal digits. `random`: from the system's generator.
#[must_use]
pub fn new_key(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", hex(&random))
}

/// Hexadecimal digits behind the prefix from which on a text is taken for a key, or for the beginning of one.
const TELLING: usize = 16;

/// A text without the keys that `new_key` makes: `wg-…` is in the place of each. For what a person may have written where no key
/// belongs, before it is logged or repeated.
#[must_use]
pub fn without_keys(text: &str) -> Cow<'_, str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let (before, behind) = rest.split_at(at + PREFIX.len());
        shown.push_str(before);
        let length = digits(behind);
        rest = behind;
        if length >= TELLING {
            shown.push('…');
            rest = &behind[length..];
        }
    }
    match shown.is_empty() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(shown + rest),
    }
}

/// The value of each hexadecimal digit; 255: the byte is none.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// The SHA-256 of a key's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key as a client sent it.
    #[must_use]
    pub fn of(shown: &[u8]) -> Self {
        Self(Sha256::digest(shown).into())
    }

    /// A hash from its 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
            if high | low > 15 {
                return None;
            }
            *byte = high << 4 | low;
        }
        Some(Self(hash))
    }

    /// A number below `shards`, a power of 2. Maps use other bits of the hash.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[8], self.0[9]])) & (shards - 1)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

/// A digest is spread evenly, so its first bytes serve as the hash of a map.
impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Takes the number that `KeyHash` gives as it is.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

pub(crate) type ByHash = BuildHasherDefault<AsItIs>;

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_without_the_keys_in_it() {
        let key = new_key([0xa7; 32]);
        let shown = without_keys(&format!("no group {key:?}, wg-team or wg-{}", "é")).into_owned();
        assert_eq!(shown, "no group \"wg-…\", wg-team or wg-é");
        assert_eq!(without_keys(&format!("{key}{key}/{}", &key[..20])), "wg-…wg-…/wg-…");
        assert_eq!(without_keys("wg-cafe and a deed"), "wg-cafe and a deed");
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let key = new_key([7; 32]);
        assert_eq!((key.len(), &key[..5]), (67, "wg-07"));
        let hash = KeyHash::of(key.as_bytes());
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(KeyHash::parse(&hash.to_string().to_uppercase()), Some(hash));
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
        }
        // The digest of RFC 6234's example, so that other programs can make the hash.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyHash::of(b"abc").to_string(), known);
    }
}
