//! A key: whose it is, and until when it is valid.

use std::fmt;
use std::sync::Arc;

use wasmgate_base::time::UnixSeconds;

use crate::hash::KeyHash;

/// A key. A million of them are in memory, so it is small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which logs show: never the key itself.
    pub id: KeyId,
    /// The name of its group.
    pub group: Arc<str>,
    /// The hash of its text.
    pub hash: KeyHash,
    /// Its text before the last rotation, which clients may still send for a while.
    pub previous: Option<Box<Previous>>,
    /// When it expires; `NEVER`: never.
    pub expires: UnixSeconds,
    /// Whether the operator blocked it.
    pub blocked: bool,
    /// What operators call it.
    pub name: Option<Box<str>>,
    /// Labels that policies see. They replace those of its group.
    pub labels: Option<Box<Labels>>,
}

/// When a key expires that never does.
pub const NEVER: UnixSeconds = UnixSeconds::MAX;

/// What a key was before it was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The hash of the older text.
    pub hash: KeyHash,
    /// The first second at which it is no longer valid.
    pub until: UnixSeconds,
}

/// Labels, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<(String, String)>);

/// The id of a key. Those that the gateway made are in the order in which they were.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyId {
    /// The name of a key of the configuration.
    Named(Box<str>),
    /// The number of a key that the gateway made. It begins with the second at which that was.
    Made(u64),
}

/// What the id of a key that the gateway made begins with.
const MADE: &str = "key-";
/// Length of its text.
pub const ID_BYTES: usize = MADE.len() + 16;

/// Why a key does not admit a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No key has this text.
    Unknown,
    /// The operator blocked it.
    Blocked,
    /// It has expired.
    Expired,
    /// It was rotated, and the time in which its older text was valid is over.
    Rotated,
}

impl Key {
    /// Whether it admits a request now that has the text with this hash.
    ///
    /// # Errors
    /// If it does not. Only who has the key learns why.
    pub fn admits(&self, hash: &KeyHash, now: UnixSeconds) -> Result<(), Refused> {
        let older = self.previous.as_ref().filter(|previous| previous.hash == *hash && self.hash != *hash);
        match () {
            () if self.blocked => Err(Refused::Blocked),
            () if now >= self.expires => Err(Refused::Expired),
            () if older.is_some_and(|previous| now >= previous.until) => Err(Refused::Rotated),
            () => Ok(()),
        }
    }

    /// Its labels, by name.
    #[must_use]
    pub fn labels(&self) -> &[(String, String)] {
        self.labels.as_ref().map_or(&[], |labels| &labels.0)
    }
}

impl KeyId {
    /// The id of a key that is made now. `random` tells those of one second apart.
    #[must_use]
    pub fn new(now: UnixSeconds, random: u32) -> Self {
        Self::Made(now << 32 | u64::from(random))
    }

    /// The id that a text is: of a key that the gateway made if it has that form, else a name.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digits = text.strip_prefix(MADE).filter(|digits| digits.len() == ID_BYTES - MADE.len());
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = digits.filter(|digits| digits.bytes().all(is_digit));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map_or_else(|| Self::Named(text.into()), Self::Made)
    }

    /// When the gateway made the key; `None`: it did not.
    #[must_use]
    pub fn made_at(&self) -> Option<UnixSeconds> {
        match self {
            Self::Named(_) => None,
            Self::Made(number) => Some(number >> 32),
        }
    }

    /// Its text, for which `buffer` may be used, so that no request pays for it with an allocation.
    pub fn text<'a>(&'a self, buffer: &'a mut [u8; ID_BYTES]) -> &'a str {
        match self {
            Self::Named(name) => name,
            Self::Made(number) => {
                buffer[..MADE.len()].copy_from_slice(MADE.as_bytes());
                for (place, byte) in buffer[MADE.len()..].iter_mut().enumerate() {
                    let digit = (number >> (60 - 4 * place) & 15) as u32;
                    *byte = char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8);
                }
                std::str::from_utf8(buffer).unwrap_or_default()
            }
        }
    }
}

/// As in `anna` or `key-692ae3f00badcafe`.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; ID_BYTES]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = KeyId::new(1_795_953_600, 0xbad_cafe);
        assert_eq!((id.to_string().as_str(), id.made_at()), ("key-6b0c13c00badcafe", Some(1_795_953_600)));
        assert_eq!(KeyId::of(&id.to_string()), id);
        for name in ["", "anna", "key-", "key-6b0c13c00badcaf", "key-6B0C13C00BADCAFE", "key-+b0c13c00badcafe"] {
            assert_eq!(KeyId::of(name), KeyId::Named(name.into()));
            assert_eq!(KeyId::of(name).to_string(), name);
        }
    }

    #[test]
    fn a_key_is_small() {
        // With the two counts in front of it, 128 bytes: a size of which allocators waste nothing.
        assert!(size_of::<Key>() <= 112, "{}", size_of::<Key>());
    }
}
